"""The header ``__value_schema_id``: 01 and a GUID, in place of a prefix."""

from __future__ import annotations

import pytest

from tests.unit.avro.samples import field, schema_of
from worker.avro.framing import SCHEMA_HEADER, Framed, Schema, UnknownSchema, frame_detected, frame_raw
from worker.avro.schema import RecordSchema, SchemaRefused
from worker.records import Headers, Reason, Record, RecordBatch

ONE = schema_of(field("x", "int"))
TWO = schema_of(field("x", "long"))
GUID_1, GUID_2, BARRED = bytes(15) + b"\x01", bytes(15) + b"\x02", bytes(15) + b"\x03"
CONFLUENT_1, CONFLUENT_2 = b"\x00\x00\x00\x00\x07", b"\x00\x00\x00\x00\x08"
BODY = b"\x02"


def lookup(key: int | bytes) -> RecordSchema:
    if key == BARRED:
        raise SchemaRefused("the gate refused it")
    known: dict[int | bytes, RecordSchema] = {
        7: ONE, 8: TWO, ONE.fingerprint: ONE, TWO.fingerprint: TWO, GUID_1: ONE, GUID_2: TWO,
    }  # fmt: skip
    if key not in known:
        raise UnknownSchema("unknown")
    return known[key]


def says(guid: bytes) -> Headers:
    return ((SCHEMA_HEADER, b"\x01" + guid),)


def framed(*records: tuple[bytes | None, Headers]) -> Framed:
    rows = [Record("t", 0, i, 0, None, value, headers) for i, (value, headers) in enumerate(records)]
    return frame_detected(RecordBatch.of(rows), lookup, 100)


def placed(found: Framed) -> dict[int, tuple[Schema, int]]:
    """By row: its schema, and where its body starts."""
    return {
        row: (schema, int(found.body_start[row]))
        for schema, rows in zip(found.schemas, found.rows, strict=True)
        for row in rows.tolist()
    }


def test_header_alone() -> None:
    """The value is the body from its first byte, however short; neighbours with prefixes are told apart."""
    found = framed((BODY, says(GUID_1)), (CONFLUENT_2 + BODY, ()), (BODY, (("trace", b"1"), *says(GUID_2))))
    assert placed(found) == {0: (ONE, 0), 1: (TWO, 6), 2: (TWO, 7)}
    assert found.refusals == ()


@pytest.mark.parametrize("prefix", [CONFLUENT_1, b"\xc3\x01" + ONE.fingerprint], ids=["Confluent", "single-object"])
def test_header_and_prefix_agree(prefix: bytes) -> None:
    """The body stands behind a prefix that names the same schema."""
    assert placed(framed((prefix + BODY, says(GUID_1)))) == {0: (ONE, len(prefix))}


@pytest.mark.parametrize("prefix", [CONFLUENT_2, b"\xc3\x01" + TWO.fingerprint], ids=["Confluent", "single-object"])
def test_header_and_prefix_disagree(prefix: bytes) -> None:
    """A record whose header and prefix name different schemas is refused alone."""
    found = framed((BODY, says(GUID_1)), (prefix + BODY, says(GUID_1)), (CONFLUENT_1 + BODY, says(GUID_1)))
    assert [(r.row, r.reason) for r in found.refusals] == [(1, Reason.SCHEMA_CONFLICT)]
    assert list(placed(found)) == [0, 2]


@pytest.mark.parametrize("value", [b"\x00\x00\x00\x00\x42", b"\xc3\x01" + bytes(8), b"\x00\x02", b"\xc3\x01"])
def test_what_only_looks_like_a_prefix(value: bytes) -> None:
    """With a header, a body may begin like a prefix, as long as that prefix is nobody's."""
    assert placed(framed((value, says(GUID_1)))) == {0: (ONE, 0)}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (says(b"\xff" * 16), Reason.UNKNOWN_SCHEMA),
        (says(BARRED), Reason.SCHEMA_REFUSED),
        (((SCHEMA_HEADER, None),), Reason.UNKNOWN_FRAMING),
        (((SCHEMA_HEADER, b""),), Reason.UNKNOWN_FRAMING),
        (((SCHEMA_HEADER, b"\x01" + bytes(15)),), Reason.UNKNOWN_FRAMING),
        (((SCHEMA_HEADER, b"\x02" + GUID_1),), Reason.UNKNOWN_FRAMING),
        (((SCHEMA_HEADER, bytes(1_000_000)),), Reason.UNKNOWN_FRAMING),
        ((*says(GUID_1), *says(GUID_2)), Reason.SCHEMA_CONFLICT),
    ],
)
def test_refused(headers: Headers, reason: Reason) -> None:
    """A header that names no schema, or two, refuses its record, whatever the prefix says; the neighbours are read."""
    found = framed((BODY, says(GUID_1)), (CONFLUENT_1 + BODY, headers), (CONFLUENT_1 + BODY, ()))
    assert [(r.row, r.reason) for r in found.refusals] == [(1, reason)]
    assert list(placed(found)) == [0, 2]


def test_doubled_header() -> None:
    """The same header twice says what it says once."""
    assert placed(framed((BODY, (*says(GUID_1), *says(GUID_1))))) == {0: (ONE, 0)}


def test_tombstones_and_large_values() -> None:
    """A header makes neither a null value nor one over the limit readable."""
    found = framed((None, says(GUID_1)), (bytes(101), says(GUID_1)))
    assert found.tombstones.tolist() == [0]
    assert [r.reason for r in found.refusals] == [Reason.TOO_LARGE]


def test_raw() -> None:
    """Raw, the header is not looked at: the settings have said what the records are."""
    batch = RecordBatch.of([Record("t", 0, 0, 0, None, BODY, says(GUID_2))])
    assert placed(frame_raw(batch, ONE, 100)) == {0: (ONE, 0)}
