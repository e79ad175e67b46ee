"""Text columns: the bytes stay bytes, and say as much about their strings as the strings would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.columns.text import TextColumn, invalid_utf8, padded

TEXTS: Any = st.lists(
    st.one_of(st.none(), st.text(max_size=12), st.text("ab\0é", max_size=90), st.sampled_from(["EWR", "JFK", "LGA"])),
    max_size=30,
)


@given(TEXTS)
def test_as_the_strings_would(items: list[str | None]) -> None:
    """Objects, lengths, slices and a selection are those of the strings."""
    column = TextColumn.of(items)
    rows = np.arange(len(items))[::-2]
    assert column.objects().tolist() == items
    assert column.lengths().tolist() == [0 if item is None else len(item) for item in items]
    assert column.slices().to_list() == [None if item is None else item.encode() for item in items]
    assert column.take(rows).objects().tolist() == items[::-2]
    sizes = [len((item or "").encode()) for item in items]
    assert column.byte_range() == ((min(sizes), max(sizes)) if items else (0, 0))


@given(TEXTS, st.lists(st.one_of(st.text(max_size=9), st.text("ab\0", max_size=80), st.sampled_from(["EWR", "LGA"]))))
def test_codes(items: list[str | None], categories: list[str]) -> None:
    """A row's code is the first category equal to it, -1 for null and for what is no category."""
    encoded = [category.encode() for category in categories]
    expected = [categories.index(item) if item in categories else -1 for item in items]
    column = TextColumn.of(items)
    assert column.codes(encoded).tolist() == expected
    assert column.equals_any(encoded).tolist() == [code >= 0 for code in expected]


@given(TEXTS, st.sampled_from([7, 200]))
def test_matching(items: list[str | None], longest: int) -> None:
    """Every row is judged by its own string, short ones that are equal by one question; null matches nothing."""
    kept = [item for item in items if item is None or len(item.encode()) <= longest]
    asked: list[str] = []

    def matches(text: str) -> bool:
        asked.append(text)
        return "a" in text or text == "EWR" or not text

    assert TextColumn.of(kept).matching(matches).tolist() == [item is not None and matches(item) for item in kept]
    short = TextColumn.of(["EWR", "a", "EWR", "", "a\0", "a"])
    asked.clear()
    assert short.matching(matches).tolist() == [True, True, True, True, True, True]
    assert sorted(asked) == ["", "EWR", "a", "a\0"]


@pytest.mark.parametrize("near", [b"abcdefgh\0", b"abcdefgh", b"abcdefghi", b"", b"\0", b"abcdefgH"])
def test_codes_of_near_misses(near: bytes) -> None:
    """Texts that differ in a last byte, a NUL or their length alone are different categories."""
    categories = [b"abcdefgh\0", b"abcdefgh", b"abcdefghi", b"", b"\0", b"abcdefgH"]
    assert TextColumn.of([near], is_bytes=True).codes(categories).tolist() == [categories.index(near)]
    assert TextColumn.of([near], is_bytes=True).codes([c for c in categories if c != near]).tolist() == [-1]


@pytest.mark.parametrize("text", [b"a", b"a\0", b"", b"abcdefgh", b"abcdefgh\0"])
def test_codes_of_one_category(text: bytes) -> None:
    """With a single category there is only one to compare with, and what differs in its length is not it."""
    column = TextColumn.of([text, text + b"\0", text + b"b"], is_bytes=True)
    assert column.codes([text]).tolist() == [0, -1, -1]
    assert column.codes([text + b"\0"]).tolist() == [-1, 0, -1]


def test_many_categories() -> None:
    """A thousand categories of up to 64 bytes are told apart."""
    categories = [f"{'c' * (i % 50)}-{i}".encode() for i in range(1_000)]
    order = np.random.default_rng(0).permutation(1_000)
    assert TextColumn.of([categories[i] for i in order]).codes(categories).tolist() == order.tolist()


def test_byte_strings() -> None:
    """Byte strings come out as bytes, measured in bytes."""
    column = TextColumn.of([b"\xff\xfe", None, b""], is_bytes=True)
    assert column.objects().tolist() == [b"\xff\xfe", None, b""]
    assert column.lengths().tolist() == [2, 0, 0]


def test_null_is_filled() -> None:
    """Filling puts a value in place of null and leaves the rest; without null it is the column itself."""
    assert TextColumn.of(["a", None, "é"]).filled("žž".encode()).objects().tolist() == ["a", "žž", "é"]
    column = TextColumn.of(["a"])
    assert column.filled(b"x") is column


@given(st.lists(st.one_of(st.binary(max_size=8), st.text(max_size=70).map(str.encode)), max_size=20))
def test_utf8_is_judged_as_python_judges_it(items: list[bytes]) -> None:
    """The rows that are not valid UTF-8 are those that Python refuses to decode."""
    column = TextColumn.of(items, is_bytes=True)
    plain, wrong = invalid_utf8(column.pool, column.start, column.end)
    assert plain == all(item.isascii() for item in items)
    assert wrong.tolist() == [i for i, item in enumerate(items) if not _decodes(item)]


def test_rows_cut_from_a_sequence() -> None:
    """A row is judged by its own bytes, not by its neighbours' in the buffer."""
    pool = padded("é".encode() * 2)
    start, end = np.array([0, 1, 2]), np.array([1, 2, 4])
    assert invalid_utf8(pool, start, end)[1].tolist() == [0, 1]


def _decodes(item: bytes) -> bool:
    try:
        item.decode()
    except UnicodeDecodeError:
        return False
    return True
