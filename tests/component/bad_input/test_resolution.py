"""Families 29 to 31 and 37: records written by another version of the schema."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import pytest

from tests.component.bad_input.bed import Bed, Good, Schema, Size, confluent, double, record_of, text, varint, verdicts
from tests.component.bad_input.conftest import MakeBed

N = double(5)
CANNOT_BE_READ = "decode/schema_refused"


@dataclass(frozen=True, slots=True)
class Change:
    """A reader's and a writer's schema, a body of the writer's, and the sum of the numbers that the reader finds."""

    reader: Schema
    writer: Schema
    body: bytes
    total: float = 0


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Kind", "symbols": list(symbols), **more}


def x_and_n(declared: Any, **words: Any) -> Schema:
    return record_of({"name": "x", "type": declared, **words}, ("n", "double"))


ONLY_N = record_of(("n", "double"))
EXTRA = {
    "array": ({"type": "array", "items": "string"}, varint(2) + text(b"a") + text(b"b") + varint(0)),
    "array of records": (
        {"type": "array", "items": record_of(("k", "string"), ("v", "double"), name="Item")},
        varint(1) + text(b"a") + double(9) + varint(0),
    ),
    "map": ({"type": "map", "values": "long"}, varint(1) + text(b"a") + varint(9) + varint(0)),
    "union of three": (["null", "string", "long"], varint(2) + varint(9)),
    "nullable record": (["null", record_of(("v", "long"), name="Item")], varint(1) + varint(9)),
    "nested": (record_of(("v", "bytes"), name="Item"), text(b"abc")),
    "null": ("null", b""),
    "fixed": ({"type": "fixed", "name": "F", "size": 3}, b"abc"),
    "plain": ("string", text(b"abc")),
}

ACCEPTED = {
    "same": Change(x_and_n("int"), x_and_n("int"), varint(7) + N, 12),
    "missing, with default": Change(x_and_n("int", default=3), ONLY_N, N, 8),
    "missing, null by default": Change(x_and_n(["null", "int"], default=None, nullPolicy="nan"), ONLY_N, N, 5),
    "renamed, with alias": Change(
        x_and_n("int", aliases=["old"]), record_of(("old", "int"), ("n", "double")), varint(7) + N, 12
    ),
    "reordered": Change(x_and_n("int"), record_of(("n", "double"), ("x", "int")), N + varint(7), 12),
    "another namespace": Change(x_and_n("int"), {**x_and_n("int"), "namespace": "elsewhere"}, varint(7) + N, 12),
    **{
        f"extra {name}": Change(ONLY_N, record_of(("x", declared), ("n", "double")), body + N, 5)
        for name, (declared, body) in EXTRA.items()
    },
    "int to long": Change(x_and_n("long"), x_and_n("int"), varint(-7) + N, -2),
    "int to float": Change(x_and_n("float"), x_and_n("int"), varint(7) + N, 12),
    "int to double": Change(x_and_n("double"), x_and_n("int"), varint(7) + N, 12),
    "long to float": Change(x_and_n("float"), x_and_n("long"), varint(7) + N, 12),
    "long to double": Change(x_and_n("double"), x_and_n("long"), varint(2**40) + N, 2**40 + 5),
    "float to double": Change(x_and_n("double"), x_and_n("float"), struct.pack("<f", 1.5) + N, 6.5),
    "string to bytes": Change(x_and_n("bytes"), x_and_n("string"), text(b"a") + N, 5),
    "bytes to string": Change(x_and_n("string"), x_and_n("bytes"), text("é".encode()) + N, 5),
    "became nullable": Change(x_and_n(["null", "int"]), x_and_n("int"), varint(7) + N, 12),
    "was nullable": Change(x_and_n("int"), x_and_n(["null", "int"]), varint(1) + varint(7) + N, 12),
    "enum with fewer symbols": Change(x_and_n(enum("A", "B")), x_and_n(enum("B")), varint(0) + N, 5),
    "enum, unknown symbol, with default": Change(
        x_and_n(enum("A", "B", default="A")), x_and_n(enum("A", "B", "C")), varint(2) + N, 5
    ),
}
# Dead letters record by record: the writer's schema can be read, this record of it can't.
REFUSED = {
    "enum, unknown symbol, no default": Change(x_and_n(enum("A", "B")), x_and_n(enum("A", "B", "C")), varint(2) + N),
    "null where the reader takes none": Change(x_and_n("int"), x_and_n(["null", "int"]), varint(0) + N),
    "a branch that the reader lacks": Change(x_and_n("int"), x_and_n(["int", "string"]), varint(1) + text(b"a") + N),
}
# The writer's schema can't be read as the reader's at all.
IRRECONCILABLE = {
    "missing, no default": Change(x_and_n("int"), ONLY_N, N),
    "renamed, no alias": Change(x_and_n("int"), record_of(("old", "int"), ("n", "double")), varint(7) + N),
    "long to int": Change(x_and_n("int"), x_and_n("long"), varint(7) + N),
    "double to long": Change(x_and_n("long"), x_and_n("double"), N + N),
    "double to float": Change(x_and_n("float"), x_and_n("double"), N + N),
    "string to int": Change(x_and_n("int"), x_and_n("string"), text(b"7") + N),
    "boolean to int": Change(x_and_n("int"), x_and_n("boolean"), b"\x01" + N),
    "array for a number": Change(x_and_n("int"), x_and_n({"type": "array", "items": "int"}), varint(0) + N),
    "another fixed size": Change(
        x_and_n({"type": "fixed", "name": "F", "size": 2}),
        x_and_n({"type": "fixed", "name": "F", "size": 3}),
        b"abc" + N,
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_resolved(bed: MakeBed, size: Size, name: str) -> None:
    """29 to 31: what Avro can resolve is predicted from the values that the reader means."""
    change = ACCEPTED[name]
    on = bed(change.reader, writers={7: change.writer})
    value = confluent(7, change.body)
    assert verdicts(on.among(Good(value, change.total), [value], size)) == ["predicted"]


@pytest.mark.parametrize("name", REFUSED)
def test_record_that_can_not_be_resolved(bed: MakeBed, size: Size, name: str) -> None:
    """29 to 31: a record that holds what the reader does not take is a dead letter, others of its schema are read."""
    change = REFUSED[name]
    on = bed(change.reader, writers={7: change.writer})
    good = Good(confluent(7, _sound(change)), 5 if "enum" in name else 12)
    assert verdicts(on.among(good, [confluent(7, change.body)], size)) == ["decode/invalid_value"]


def _sound(change: Change) -> bytes:
    """A body of the same writer that the reader takes."""
    kind = change.writer["fields"][0]["type"]
    if isinstance(kind, dict):
        return varint(0) + N
    return varint(kind.index("int")) + varint(7) + N


@pytest.mark.parametrize("name", IRRECONCILABLE)
def test_schema_that_can_not_be_resolved(bed: MakeBed, size: Size, name: str) -> None:
    """29, 30 and 37: the records of a writer that lacks or retypes a field are dead letters; other writers' are read."""
    change = IRRECONCILABLE[name]
    on = bed(change.reader, writers={7: change.writer})
    good = _written_by_the_reader(on, change)
    assert verdicts(on.among(good, [confluent(7, change.body)], size)) == [CANNOT_BE_READ]


def _written_by_the_reader(on: Bed, change: Change) -> Good:
    kind = change.reader["fields"][0]["type"]
    sound: dict[str, tuple[bytes, float]] = {
        "int": (varint(7), 12),
        "long": (varint(7), 12),
        "float": (struct.pack("<f", 7), 12),
    }
    body, total = sound.get(str(kind), (b"ab", 5))
    return Good(on.framed(body + N), total)
