"""Which schema a record was written by, and where its body starts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.avro.samples import batch, field, schema_of
from worker.avro.framing import Framed, Schema, UnknownSchema, frame_detected, frame_raw
from worker.avro.schema import RecordSchema, SchemaRefused
from worker.records import Reason, Stage

ONE = schema_of(field("x", "int"))
TWO = schema_of(field("x", "long"))
BODY = b"\x02"
CONFLUENT = b"\x00\x00\x00\x00\x07"
SINGLE = b"\xc3\x01" + TWO.fingerprint


def lookup(key: int | bytes) -> RecordSchema:
    if key == 66:
        raise SchemaRefused("the gate refused it")
    known: dict[int | bytes, RecordSchema] = {7: ONE, ONE.fingerprint: ONE, TWO.fingerprint: TWO}
    if key not in known:
        raise UnknownSchema("unknown")
    return known[key]


def framed(*values: bytes | None, max_bytes: int = 100) -> Framed:
    return frame_detected(batch(list(values)), lookup, max_bytes)


def by_row(found: Framed) -> dict[int, tuple[Schema, int]]:
    return {
        row: (schema, int(found.body_start[row]))
        for schema, rows in zip(found.schemas, found.rows, strict=True)
        for row in rows.tolist()
    }


def test_both_framings() -> None:
    """Confluent's prefix and the single-object one are told apart record by record, in one batch."""
    found = framed(CONFLUENT + BODY, SINGLE + BODY, None, CONFLUENT + BODY)
    assert by_row(found) == {0: (ONE, 5), 1: (TWO, 6 + 10), 3: (ONE, 17 + 5)}
    assert found.tombstones.tolist() == [2]
    assert found.refusals == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.EMPTY_VALUE),
        (b"\x00\x00\x00\x07", Reason.EMPTY_VALUE),
        (b"\x07junk", Reason.UNKNOWN_FRAMING),
        (b'{"x": 1}', Reason.UNKNOWN_FRAMING),
        (b"Obj\x01avro", Reason.UNKNOWN_FRAMING),
        (b"\xc3\x02" + bytes(8), Reason.UNKNOWN_FRAMING),
        (b"\xc3\x01" + bytes(7), Reason.UNKNOWN_FRAMING),
        (b"\xc3\x01" + bytes(8), Reason.UNKNOWN_SCHEMA),
        (b"\x00\x00\x00\x00\x00", Reason.UNKNOWN_SCHEMA),
        (b"\x00\xff\xff\xff\xff" + BODY, Reason.UNKNOWN_SCHEMA),
        (b"\x00\x7f\xff\xff\xff" + BODY, Reason.UNKNOWN_SCHEMA),
        (b"\x00\x00\x00\x00\x42" + BODY, Reason.SCHEMA_REFUSED),
        (CONFLUENT + bytes(96), Reason.TOO_LARGE),
    ],
)
def test_refused(value: bytes, reason: Reason) -> None:
    """What carries no known prefix or schema, or is too large, is refused alone."""
    found = framed(SINGLE + BODY, value, SINGLE + BODY)
    assert [(r.row, r.stage, r.reason) for r in found.refusals] == [(1, Stage.FRAMING, reason)]
    assert list(by_row(found)) == [0, 2]


def test_size_limit_is_inclusive() -> None:
    """A record of exactly the limit is read."""
    assert framed(CONFLUENT + bytes(95)).refusals == ()


def test_only_tombstones() -> None:
    """A batch without a single byte is no fault."""
    found = framed(None, None)
    assert found.tombstones.tolist() == [0, 1]
    assert by_row(found) == {}


def test_raw() -> None:
    """Raw, every value is a body from its first byte, even an empty one; only size and null are looked at."""
    found = frame_raw(batch([BODY, b"", None, bytes(101)]), ONE, 100)
    assert by_row(found) == {0: (ONE, 0), 1: (ONE, 1)}
    assert found.tombstones.tolist() == [2]
    assert [(r.row, r.reason) for r in found.refusals] == [(3, Reason.TOO_LARGE)]


@given(st.lists(st.none() | st.binary(max_size=14) | st.sampled_from([CONFLUENT, SINGLE, CONFLUENT + BODY])))
def test_conservation(values: list[bytes | None]) -> None:
    """Every row is in exactly one place, whatever the bytes."""
    if not values:
        return
    found = framed(*values)
    places = [*by_row(found), *(r.row for r in found.refusals), *found.tombstones.tolist()]
    assert sorted(places) == list(range(len(values)))
