"""Families 7 to 13, 16, 17 and 22 to 24: bytes that are almost a record of the schema."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.component.bad_input.bed import (
    Bed,
    Good,
    Size,
    body_schema,
    double,
    record_of,
    score_of,
    text,
    varint,
    verdicts,
)
from tests.component.bad_input.conftest import MakeBed
from worker.testing import PredictionOf

ENUM = {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "Code", "size": 4}
N = double(5)
MIXED = record_of(
    ("id", "string"),
    {"name": "count", "type": "int", "minimum": 0, "maximum": 100},
    {"name": "ratio", "type": "double", "minimum": -1, "maximum": 1},
    ("flag", "boolean"),
    {"name": "maybe", "type": ["null", "float"], "nullPolicy": "nan", "minimum": 0, "maximum": 50},
    ("kind", ENUM),
    ("code", FIXED),
    ("raw", "bytes"),
)
MIXED_BODY = (
    text(b"UA-1545") + varint(17) + double(0.25) + b"\x01" + b"\x02" + struct.pack("<f", 1.5) + b"\x02" + b"EWR1"
) + text(b"\xff\x00")
MIXED_GOOD_TOTAL = 17 + 0.25 + 1 + 1.5
MALFORMED, TRAILING = "decode/malformed", "decode/trailing_bytes"


@dataclass(frozen=True, slots=True)
class OneField:
    """A type, a sound value of it with the number that it counts for, and damaged ones."""

    kind: Any
    sound: bytes
    counts: float
    bad: tuple[bytes, ...]


def judged(bed: MakeBed, size: Size, case: OneField) -> list[str]:
    on = bed(body_schema(case.kind))
    good = Good(on.framed(case.sound + N), case.counts + 5)
    return verdicts(on.among(good, [on.framed(bad + N) for bad in case.bad], size))


def mixed(bed: MakeBed) -> tuple[Bed, Good]:
    on = bed(MIXED)
    return on, Good(on.framed(MIXED_BODY), MIXED_GOOD_TOTAL)


def test_truncated_at_every_byte(bed: MakeBed, size: Size) -> None:
    """7: cut at any byte of its body, a record is a dead letter."""
    on, good = mixed(bed)
    cut = [on.framed(MIXED_BODY[:length]) for length in range(len(MIXED_BODY))]
    assert set(verdicts(on.among(good, cut, size))) == {MALFORMED}


@pytest.mark.parametrize("tail", [b"\0", b"\x80", bytes(1_000_000), MIXED_BODY], ids=["0", "128", "1 MB", "record"])
def test_trailing_bytes(bed: MakeBed, size: Size, tail: bytes) -> None:
    """8: bytes behind the record, a second record among them, make it a dead letter."""
    on, good = mixed(bed)
    assert verdicts(on.among(good, [on.framed(MIXED_BODY + tail)], size)) == [TRAILING]


def test_every_bit_flip(bed: MakeBed) -> None:
    """9: with one bit flipped it is a dead letter or within the declared ranges; and the same in any batch."""
    on, good = mixed(bed)
    value = int.from_bytes(MIXED_BODY, "little")
    flipped = [(value ^ 1 << bit).to_bytes(len(MIXED_BODY), "little") for bit in range(8 * len(MIXED_BODY))]
    outcomes = on.among(good, [on.framed(body) for body in flipped], "few")
    again = on.among(good, [on.framed(body) for body in flipped], "many")
    assert verdicts(outcomes) == verdicts(again)
    scores = [o.score for o in outcomes if isinstance(o, PredictionOf)]
    assert scores == [o.score for o in again if isinstance(o, PredictionOf)]
    assert len(MIXED_BODY) < len(scores) < len(flipped) - len(MIXED_BODY)
    assert all(score_of(-1) <= score <= score_of(100 + 1 + 1 + 50) for score in scores)


def test_every_bit_flip_of_the_framing(bed: MakeBed, size: Size) -> None:
    """9: a flipped bit in marker or fingerprint makes a dead letter of the record."""
    on, good = mixed(bed)
    whole = on.framed(MIXED_BODY)
    flipped = [bytes([*whole[:i], whole[i] ^ 1 << bit, *whole[i + 1 :]]) for i in range(10) for bit in range(8)]
    found = verdicts(on.among(good, flipped, size))
    assert set(found) == {"framing/unknown_framing", "framing/unknown_schema"}


@pytest.mark.parametrize(
    ("kind", "padded", "counts"),
    [
        ("int", varint(7, 3), 7),
        ("long", varint(-7, 8), -7),
        ("string", varint(2, 1) + b"ab", 0),
        (["null", "int"], varint(1, 2) + varint(7), 7),
        (ENUM, varint(1, 4), 0),
    ],
)
def test_padded_varints(bed: MakeBed, size: Size, kind: Any, padded: bytes, counts: float) -> None:
    """10: a number padded with zeros, within ten bytes, is read as what it means."""
    on = bed(body_schema(kind))
    good = Good(on.framed(padded + N), counts + 5)
    assert verdicts(on.among(good, [on.framed(padded + N)], size)) == ["predicted"]


@pytest.mark.parametrize("kind", ["int", "long", "string", "bytes", ["null", "int"], ENUM], ids=str)
def test_long_varints(bed: MakeBed, size: Size, kind: Any) -> None:
    """11: a number of more than ten bytes or 64 bits, or a megabyte of 0x80, is a dead letter."""
    sound = {"int": varint(1), "long": varint(1), "string": text(b"a"), "bytes": text(b"a")}
    bad = (
        b"\x80" * 10 + b"\x01",
        b"\xff" * 9 + b"\x02",
        b"\xff" * 9 + b"\x7f",
        b"\x80" * 10 + b"\0",
        b"\x80" * 1_000_000,
    )
    one = sound.get(str(kind), varint(0))
    on = bed(body_schema(kind, **({"nullPolicy": "nan"} if isinstance(kind, list) else {})))
    good = Good(on.framed(one + N), 6 if kind in ("int", "long") else 5)
    assert set(verdicts(on.among(good, [on.framed(item + N) for item in bad], size))) == {MALFORMED}


def test_int_outside_32_bits(bed: MakeBed, size: Size) -> None:
    """12: an int beyond 32 bits is a dead letter; the limits themselves are read."""
    wrong = tuple(varint(number) for number in (2**31, -(2**31) - 1, 2**32, 2**63 - 1, -(2**63)))
    assert judged(bed, size, OneField("int", varint(7), 7, wrong)) == [MALFORMED] * 5
    right = (varint(2**31 - 1), varint(-(2**31)))
    assert judged(bed, size, OneField("int", varint(7), 7, right)) == ["predicted"] * 2


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1])
def test_long_at_its_limits(bed: MakeBed, size: Size, number: int) -> None:
    """13: any long is read, as the nearest float64; a declared range refuses it."""
    assert judged(bed, size, OneField("long", varint(number), float(number), (varint(number),))) == ["predicted"]
    on = bed(body_schema("long", minimum=-1_000, maximum=1_000))
    expected = "validate/above_maximum" if number > 0 else "validate/below_minimum"
    good = Good(on.framed(varint(7) + N), 12)
    assert verdicts(on.among(good, [on.framed(varint(number) + N)], size)) == [expected]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"a" * 70 + b"\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
    ],
    ids=["byte", "overlong", "surrogate", "cut", "late", "beyond Unicode", "five bytes"],
)
def test_invalid_utf8(bed: MakeBed, size: Size, content: bytes) -> None:
    """16: what is no UTF-8 is a dead letter as a string; as bytes it is read."""
    assert judged(bed, size, OneField("string", text("žluť".encode()), 0, (text(content),))) == [MALFORMED]
    assert judged(bed, size, OneField("bytes", text(b"a"), 0, (text(content),))) == ["predicted"]


@pytest.mark.parametrize(
    "unusual",
    ["a\0b", "\u202egnp.exe", "x" * 1_000_000, "e\u0301", "\U0010ffff", "\x1b[31mred\r\nlevel=error", "", "\ufeff"],
    ids=["NUL", "right-to-left", "1 MB", "unnormalised", "last", "terminal", "empty", "mark"],
)
def test_unusual_text(
    bed: MakeBed, size: Size, unusual: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """17: any UTF-8 is read, makes an id as it is, and appears neither in logs nor in what a refusal says."""
    on = bed(body_schema("string"), id="x")
    good = Good(on.framed(text(b"plain") + N), 5)
    value = on.framed(text(unusual.encode()) + N)
    (found,) = on.among(good, [value], size)
    assert isinstance(found, PredictionOf)
    assert found.event_id == unusual
    (refused,) = on.run([value + b"!"]).dead_letters
    said = [refused.detail, caplog.text, *capfd.readouterr(), *(str(v) for _, v in refused.headers)]
    assert not unusual or not any(unusual in words for words in said)


CHOICES = {
    "null first": OneField(["null", "double"], varint(1) + double(2), 2, (double(2),)),
    "null last": OneField(["string", "null"], varint(0) + text(b"a"), 0, (text(b"a"),)),
    "enum": OneField(ENUM, varint(1), 0, (b"",)),
}


@pytest.mark.parametrize("index", [2, 63, 64, -1, -2, -(2**31), 2**40, -(2**63)])
@pytest.mark.parametrize("name", CHOICES)
def test_index_out_of_range(bed: MakeBed, size: Size, index: int, name: str) -> None:
    """22: a branch or symbol beyond the last, or below the first, is a dead letter."""
    choice = CHOICES[name]
    (rest,) = choice.bad
    assert judged(bed, size, replace(choice, bad=(varint(index) + rest,))) == [MALFORMED]


@pytest.mark.parametrize("byte", [2, 3, 0x7F, 0x80, 0xFF])
def test_boolean_of_another_byte(bed: MakeBed, size: Size, byte: int) -> None:
    """23: a boolean is 0 or 1."""
    assert judged(bed, size, OneField("boolean", b"\x01", 1, (bytes([byte]),))) == [MALFORMED]


def test_fixed_too_short(bed: MakeBed, size: Size) -> None:
    """24: a fixed that the record does not hold whole is a dead letter."""
    on = bed(record_of(("n", "double"), ("x", FIXED)))
    good = Good(on.framed(N + b"abcd"), 5)
    bad = [on.framed(N + b"abcd"[:length]) for length in range(4)]
    assert verdicts(on.among(good, bad, size)) == [MALFORMED] * 4
