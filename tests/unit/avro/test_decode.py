"""Bodies to columns: strict, and a record at fault is refused alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.avro.samples import batch, body, field, schema_of, varint
from worker.avro.decode import Decoded, Decoder
from worker.avro.framing import Framed, frame_detected, frame_raw
from worker.avro.schema import RecordSchema
from worker.columns import NumberColumn
from worker.records import Reason, RecordBatch, Refusal
from worker.registry.files import SchemaFiles

WIDE = schema_of(
    field("text", "string"),
    field("number", ["null", "double"]),
    field("flag", "boolean"),
    field("whole", "long"),
    field("raw", "bytes"),
    field("kind", {"type": "enum", "name": "E", "symbols": ["a", "b"]}),
    field("print", {"type": "fixed", "name": "F", "size": 2}),
    field("inner", {"type": "record", "name": "N", "fields": [field("x", "int"), field("y", ["float", "null"])]}),
)
VALUE = {
    "text": "ä", "number": None, "flag": True, "whole": -(2**62), "raw": b"\x00", "kind": "b", "print": b"zz",
    "inner": {"x": 5, "y": 0.5},
}  # fmt: skip


def decoded(schema: RecordSchema, *bodies: bytes | None) -> Decoded:
    return Decoder(schema, lambda records: frame_raw(records, schema, 10**6)).decode(batch(list(bodies)))


def only(found: Decoded) -> Refusal:
    assert len(found.rows) == len(found.columns) == 0
    (refusal,) = found.refusals
    return refusal


def test_every_type() -> None:
    """Each field becomes a column of its dtype; null is marked, nested names are dotted."""
    found = decoded(WIDE, body(WIDE, VALUE), None, body(WIDE, {**VALUE, "number": 2.5, "inner": {"x": -1, "y": None}}))
    assert found.rows.tolist() == [0, 2]
    assert found.tombstones.tolist() == [1]
    columns = {name: column.objects().tolist() for name, column in found.columns.by_name.items()}
    assert columns == {
        "text": ["ä", "ä"], "number": [None, 2.5], "flag": [True, True], "whole": [-(2**62)] * 2, "raw": [b"\x00"] * 2,
        "kind": ["b", "b"], "print": [b"zz"] * 2, "inner.x": [5, -1], "inner.y": [0.5, None],
    }  # fmt: skip
    dtypes = {
        name: column.values.dtype.name
        for name, column in found.columns.by_name.items()
        if isinstance(column, NumberColumn)
    }
    assert (dtypes["flag"], dtypes["whole"], dtypes["inner.x"]) == ("bool", "int64", "int32")
    assert (dtypes["number"], dtypes["inner.y"]) == ("float64", "float32")


def test_truncated_at_every_byte() -> None:
    """A record that ends too early is refused, wherever it ends, and its neighbours are not touched."""
    whole = body(WIDE, VALUE)
    cut = [whole[:length] for length in range(len(whole))]
    found = decoded(WIDE, whole, *cut, whole)
    assert found.rows.tolist() == [0, len(cut) + 1]
    assert {r.row: r.reason for r in found.refusals} == dict.fromkeys(range(1, len(cut) + 1), Reason.MALFORMED)


@pytest.mark.parametrize("extra", [b"\x00", b"x" * 100_000])
def test_trailing_bytes(extra: bytes) -> None:
    """A record must end where its value ends; the refusal says by how much it does not."""
    refusal = only(decoded(WIDE, body(WIDE, VALUE) + extra))
    assert refusal.reason is Reason.TRAILING_BYTES
    assert refusal.detail == f"{len(extra)} bytes follow the record"


@given(st.binary(max_size=40))
def test_any_bytes(junk: bytes) -> None:
    """Whatever the bytes, a record is decoded or refused, never both, and nothing is raised."""
    schema = schema_of(field("a", "string"), field("b", ["null", "double"]), field("c", "boolean"))
    good = body(schema, {"a": "x", "b": 1.0, "c": True})
    found = decoded(schema, good, junk, good)
    assert sorted([*found.rows.tolist(), *(r.row for r in found.refusals)]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("declared", "bytes_"),
    [
        ("string", varint(2**62) + b"a"),
        ("string", varint(2**40) + b"a"),
        ("string", varint(-1) + b"a"),
        ("string", varint(2) + b"\xff\xfe"),
        ("bytes", varint(10) + b"short"),
        ({"type": "fixed", "name": "F", "size": 4}, b"abc"),
        (["null", "double"], varint(2)),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, varint(2)),
        ("long", b"\x80" * 5),
    ],
)
def test_malformed(declared: Any, bytes_: bytes) -> None:
    """Lengths, branches and symbols out of range, and text that is no UTF-8, are refused."""
    assert only(decoded(schema_of(field("x", declared)), bytes_)).reason is Reason.MALFORMED


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**40])
def test_int_outside_32_bits(number: int) -> None:
    """An int that does not fit 32 bits is refused alone."""
    found = decoded(schema_of(field("x", "int")), varint(1), varint(number), varint(2))
    assert found.rows.tolist() == [0, 2]
    assert len(found.refusals) == 1


@pytest.mark.parametrize(
    ("declared", "bytes_"),
    [
        ("boolean", b"\x02"),
        ("boolean", b"\xff"),
        (["null", "double"], varint(-1) + bytes(8)),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, varint(-1)),
        ("long", varint(2**70)),
    ],
    ids=["boolean 2", "boolean 255", "branch -1", "symbol -1", "long of 71 bits"],
)
def test_out_of_range(declared: Any, bytes_: bytes) -> None:
    """What Avro does not know is refused, not taken for its neighbour."""
    assert only(decoded(schema_of(field("x", declared)), bytes_)).reason is Reason.MALFORMED


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary(max_size=9))
def test_round_trip(whole: int, number: float, text: str, raw: bytes) -> None:
    """What fastavro writes is what the columns hold."""
    value = {**VALUE, "whole": whole, "number": number, "text": text, "raw": raw}
    columns = decoded(WIDE, body(WIDE, value)).columns
    assert [columns[name].objects()[0] for name in ("whole", "number", "text", "raw")] == [whole, number, text, raw]


def test_empty_record() -> None:
    """A schema without fields has a body without bytes."""
    found = decoded(schema_of(), b"")
    assert found.rows.tolist() == [0]


class TestWriterSchemas:
    """Records written by other versions of the schema, found by their fingerprints."""

    reader = schema_of(field("x", "double"), field("new", "int", default=7), name="ns.R")

    def read(self, writer: RecordSchema, value: dict[str, Any]) -> Decoded:
        lookup = SchemaFiles(self.reader, {9: writer})

        def frame(records: RecordBatch) -> Framed:
            return frame_detected(records, lookup, 1_000)

        framed = b"\xc3\x01" + writer.fingerprint + body(writer, value)
        own = b"\xc3\x01" + self.reader.fingerprint + body(self.reader, {"x": 1.5, "new": 2})
        by_id = b"\x00\x00\x00\x00\x09" + body(writer, value)
        return Decoder(self.reader, frame).decode(batch([own, framed, by_id]))

    def test_resolution(self) -> None:
        """Promotion, defaults, another order and fields that nobody reads."""
        writer = schema_of(field("old", "string"), field("x", "int"), name="ns.R")
        found = self.read(writer, {"old": "o", "x": 4})
        assert found.columns["x"].objects().tolist() == [1.5, 4.0, 4.0]
        assert found.columns["new"].objects().tolist() == [2, 7, 7]

    def test_another_namespace(self) -> None:
        """Resolution compares names without their namespace, as Avro does."""
        writer = schema_of(field("x", "int"), name="other.R")
        assert self.read(writer, {"x": 4}).rows.tolist() == [0, 1, 2]

    def test_another_record(self) -> None:
        """A record of another name is refused, even where its fields would fit."""
        writer = schema_of(field("x", "int"), name="ns.Other")
        found = self.read(writer, {"x": 4})
        assert found.rows.tolist() == [0]
        assert {r.reason for r in found.refusals} == {Reason.WRONG_RECORD_TYPE}
        assert found.refusals[0].detail == "written as ns.Other, expected ns.R"

    def test_can_not_be_resolved(self) -> None:
        """Without a value or a default for a field the record is refused."""
        writer = schema_of(field("y", "int"), name="ns.R")
        found = self.read(writer, {"y": 4})
        assert found.rows.tolist() == [0]
        assert {r.reason for r in found.refusals} == {Reason.SCHEMA_REFUSED}
