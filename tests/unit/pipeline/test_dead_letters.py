"""Dead letters: bytes unchanged, and headers that say what happened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.pipeline.dead_letters import DIALECTS, REPLAYS, DeadLetterPolicy
from worker.records import Headers, Reason, Record, RecordBatch, Refusal, Refusals, Stage

POLICY = DeadLetterPolicy("in.dlq", "group", "1.2.3", "model 4.5.6")
REFUSED = Refusal(0, Stage.VALIDATE, Reason.BELOW_MINIMUM, "age: is below minimum 18", "age")


def batch(headers: Headers = ()) -> RecordBatch:
    return RecordBatch.of(
        [
            Record("in", 3, 70, 0, b"key", b"\x00value", headers),
            Record("in", 4, 71, 0, None, None),
            Record("in", 3, 72, 0, b"", b""),
        ]
    )


def headers_of(headers: Headers, policy: DeadLetterPolicy = POLICY) -> list[tuple[str, bytes | None]]:
    return list(policy.letters(batch(headers), Refusals.of([REFUSED])).headers[0])


def test_bytes_unchanged() -> None:
    """Key and value stay as they were, in the input's partition; letters come in offset order."""
    refusals = [replace(REFUSED, row=2), replace(REFUSED, row=1), REFUSED]
    letters = POLICY.letters(batch(), Refusals.of(refusals))
    assert letters.topic == "in.dlq"
    assert letters.partition.tolist() == [3, 4, 3]
    assert letters.keys.to_list() == [b"key", None, b""]
    assert letters.values.to_list() == [b"\x00value", None, b""]
    assert [dict(letters.headers[i])["__dlq.errors.offset"] for i in range(3)] == [b"70", b"71", b"72"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(dialect: str) -> None:
    """Each dialect names topic, partition, offset, group and message its own way; the rest is the same."""
    names = DIALECTS[dialect]
    found = dict(headers_of((), replace(POLICY, dialect=dialect)))
    assert [found[name] for name in names] == [b"in", b"3", b"70", b"group", b"age: is below minimum 18"]
    rest = {name: value for name, value in found.items() if name not in names}
    assert rest == {
        "stage": b"validate",
        "reason": b"below_minimum",
        "field": b"age",
        "worker.version": b"1.2.3",
        "model.version": b"model 4.5.6",
    }


def test_dialects_differ() -> None:
    """No two dialects share a name."""
    names = [name for dialect in DIALECTS.values() for name in dialect]
    assert len(set(names)) == len(names) == 15


def test_own_headers_first() -> None:
    """The record's own headers are kept in front of ours, doubled names and nulls as well."""
    own: Headers = (("a", b"1"), ("a", None))
    assert headers_of(own)[:2] == list(own)


@pytest.mark.parametrize(
    ("counts", "kept"),
    [([b"2"], b"2"), ([b"2", b"10"], b"10"), ([b"x", b"1"], b"1"), ([b"9" * 20], None), ([None], None)],
)
def test_loop_guard(counts: list[bytes | None], kept: bytes | None) -> None:
    """The largest count of replays is kept, whatever the caps; what is no count is not."""
    own = tuple((REPLAYS, count) for count in counts)
    assert dict(headers_of(own, replace(POLICY, max_headers=0))).get(REPLAYS) == kept


def test_no_field() -> None:
    """Without a field there is no such header, not even a forged one."""
    letters = POLICY.letters(batch((("field", b"forged"),)), Refusals.of([replace(REFUSED, field=None)]))
    assert "field" not in dict(letters.headers[0])


def test_forged_headers() -> None:
    """Headers that pretend to be ours are dropped."""
    forged: Headers = (("__dlq.errors.offset", b"1"), ("stage", b"x"), ("model.version", b"y"), ("mine", b"z"))
    found = headers_of(forged)
    assert [name for name, _ in found].count("__dlq.errors.offset") == 1
    assert dict(found)["stage"] == b"validate"
    assert found[0] == ("mine", b"z")


def test_cap_on_number() -> None:
    """Of very many headers the first are kept."""
    own = tuple((f"h{i}", b"") for i in range(10_000))
    assert [name for name, _ in headers_of(own, replace(POLICY, max_headers=3))[:4]] == [
        "h0",
        "h1",
        "h2",
        "__dlq.errors.topic",
    ]


def test_cap_on_bytes() -> None:
    """Of large headers those are kept that fit, up to the first that does not."""
    own: Headers = (("a", b"1" * 10), ("b", b"2" * 100), ("c", b"3"))
    assert headers_of(own, replace(POLICY, max_header_bytes=50))[:2] == [
        ("a", b"1" * 10),
        ("__dlq.errors.topic", b"in"),
    ]


def test_no_room() -> None:
    """With a cap of 0 only ours are there."""
    assert headers_of((("a", b""),), replace(POLICY, max_headers=0))[0][0] == "__dlq.errors.topic"


NAMES = st.sampled_from(["a", "ab", "é", "", "reason", "field", "stage", "__dlq.errors.offset", "kafka_dlt-x", REPLAYS])
VALUES = st.one_of(st.none(), st.sampled_from([b"", b"7", b"12", b"x", b"0" * 19, b"1" * 20, b"v" * 30]))
OWN = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(tuple)


def kept_of_one(headers: Headers, policy: DeadLetterPolicy) -> list[tuple[str, bytes | None]]:
    """The rules for one record, in words that follow it header by header."""
    counts = [value for name, value in headers if name == REPLAYS and value and len(value) <= 19]
    kept: list[tuple[str, bytes | None]] = []
    room = policy.max_header_bytes
    for name, value in headers:
        if name == REPLAYS:
            continue
        room -= len(name.encode()) + len(value or b"")
        if len(kept) == policy.max_headers or room < 0:
            break
        if name not in {"reason", "field", "stage", "__dlq.errors.offset"}:
            kept.append((name, value))
    guard = [(REPLAYS, max(counts, key=lambda count: int(count) if count.isdigit() else -1))] if counts else []
    return [*guard, *kept]


@given(st.lists(OWN, min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 60))
def test_each_letter_keeps_its_own_headers(records: list[Headers], most: int, most_bytes: int) -> None:
    """Whatever the other records carry, each letter keeps of its record's headers what the caps and our names leave."""
    policy = replace(POLICY, max_headers=most, max_header_bytes=most_bytes)
    many = RecordBatch.of([Record("in", i % 2, 10**i, 0, None, b"v", headers) for i, headers in enumerate(records)])
    refusals = Refusals.of([replace(REFUSED, row=i, field=["age", None][i % 2]) for i in range(len(records))])
    letters = policy.letters(many, refusals)
    for i, headers in enumerate(records):
        own = kept_of_one(headers, policy)
        assert list(letters.headers[i])[: len(own)] == own
        ours = dict(letters.headers[i][len(own) :])
        assert len(ours) == len(letters.headers[i]) - len(own) == 10 - i % 2
        assert (ours["__dlq.errors.partition"], ours["__dlq.errors.offset"]) == (b"%d" % (i % 2), b"%d" % 10**i)
