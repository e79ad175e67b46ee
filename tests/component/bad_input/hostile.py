"""Records and schemas that would cost memory or time far beyond their own size; each by name.

They are judged in a process of their own (``confined``), so that a failure ends that process and not the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.component.bad_input.bed import (
    MAX_BYTES,
    Bed,
    Given,
    Good,
    Schema,
    body_schema,
    confluent,
    double,
    record_of,
    text,
    varint,
)
from worker.avro.framing import UnknownSchema
from worker.avro.gate import WriterSchema, gate_writer
from worker.avro.schema import RecordSchema

N = double(5)
MALFORMED, TOO_LARGE, INVALID, REFUSED = (
    "decode/malformed",
    "framing/too_large",
    "decode/invalid_value",
    "framing/schema_refused",
)
_HUGE = (2**32, 2**40, 2**62, 2**63 - 1, -1, -(2**40), -(2**63))


@dataclass(frozen=True, slots=True)
class Hostile:
    """Bad bodies for a worker, and what each must become.

    ``framed`` bodies get the reader's framing, others are whole values. ``schemas`` are looked up by id and gated when
    a record first names them, as those of a registry are.
    """

    reader: Schema
    good: bytes
    total: float
    bad: Sequence[bytes]
    expected: Sequence[str]
    framed: bool = True
    writers: Mapping[int, Schema] | None = None
    schemas: Mapping[int, str] | None = None
    settings: Mapping[str, Any] | None = None

    def bed(self, make: Callable[..., Bed]) -> Bed:
        on = make(self.reader, writers=self.writers, **(self.settings or {}))
        if self.schemas is not None:
            on.use_lookup(partial(self._lookup, on.harness.schema))
        return on

    def neighbour(self, on: Bed) -> Good:
        return Good(on.framed(self.good) if self.writers is None else self.good, self.total)

    def records(self, on: Bed) -> list[Given]:
        return [on.framed(body) if self.framed else body for body in self.bad]

    def _lookup(self, own: RecordSchema, key: int | bytes) -> RecordSchema | WriterSchema:
        if key == own.fingerprint:
            return own
        if self.schemas is None or not isinstance(key, int) or key not in self.schemas:
            raise UnknownSchema("unknown")
        return gate_writer(self.schemas[key])


def lying_lengths() -> Hostile:
    """14: strings and bytes that claim to be long."""
    reader = record_of(("s", "string"), ("b", "bytes"), ("n", "double"))
    bodies = [
        *(varint(length) + b"ab" + text(b"") + N for length in _HUGE),
        *(text(b"") + varint(length) + b"ab" + N for length in _HUGE),
    ]
    return Hostile(reader, text(b"a") + text(b"b") + N, 5, bodies, [MALFORMED] * len(bodies))


def large_values() -> Hostile:
    """15: what is within the size limit is read, what is above it is refused unread."""
    sizes = (1_000_000, MAX_BYTES, 100_000_000)
    bodies = [text(bytes(size)) + N for size in sizes]
    return Hostile(body_schema("bytes"), text(b"a") + N, 5, bodies, ["predicted", TOO_LARGE, TOO_LARGE])


def lying_arrays() -> Hostile:
    """18: arrays that announce more than there is."""
    bodies = [varint(count) + varint(1) * 4 + N for count in (*_HUGE[:4], -(2**40), -(2**63))]
    bodies += [varint(-9) + varint(size) + varint(1) * 4 + N for size in _HUGE]
    writers = {7: record_of(("x", {"type": "array", "items": "int"}), ("n", "double"))}
    good = confluent(7, varint(0) + N)
    bad = [confluent(7, body) for body in bodies]
    return Hostile(record_of(("n", "double")), good, 5, bad, [MALFORMED] * len(bad), framed=False, writers=writers)


def long_vectors() -> Hostile:
    """18: vectors of a million items, which the field does not allow, and some that only announce as many."""
    reader = record_of(
        {"name": "x", "type": {"type": "array", "items": "double"}, "maxItems": 3},
        {"name": "y", "type": {"type": "array", "items": "int"}, "maxItems": 3},
    )
    million = 10**6
    bodies = [
        varint(million) + double(1) * million + varint(0) + varint(0),
        varint(0) + varint(million) + varint(1) * million + varint(0),
        varint(0) + (varint(1) + varint(1)) * 100_000 + varint(0),
        *(varint(count) + double(1) * 9 + varint(0) + varint(0) for count in (million, *_HUGE[:4], -(2**40))),
        *(varint(0) + varint(count) + varint(1) * 9 + varint(0) for count in (million, *_HUGE[:4], -(2**40))),
    ]
    expected = ["validate/too_long"] * 3 + [MALFORMED] * (len(bodies) - 3)
    good = varint(1) + double(5) + varint(0) + varint(0)
    return Hostile(reader, good, 5, bodies, expected)


def lying_maps() -> Hostile:
    """21: maps that announce more than there is."""
    bodies = [varint(count) + b"\x02a\x02" + N for count in (2**50, 2**62, -(2**50), -(2**63))]
    writers = {7: record_of(("x", {"type": "map", "values": "int"}), ("n", "double"))}
    good = confluent(7, varint(0) + N)
    bad = [confluent(7, body) for body in bodies]
    return Hostile(record_of(("n", "double")), good, 5, bad, [MALFORMED] * len(bad), framed=False, writers=writers)


def items_of_no_bytes() -> Hostile:
    """19: a billion items in a few bytes, once and in many small arrays."""
    items = ["null", record_of(name="Empty"), {"type": "fixed", "name": "F", "size": 0}]
    schemas = {
        i: json.dumps(record_of(("x", {"type": kind, word: item}), ("n", "double")))
        for i, (item, kind, word) in enumerate(
            (item, kind, word) for item in items for kind, word in (("array", "items"), ("map", "values"))
        )
    }
    one = varint(10**9)
    bad = [confluent(i, body + N) for i in schemas for body in (one + varint(0), one * 1_000 + varint(0))]
    return _by_schema(schemas, bad)


def recursive_schemas() -> Hostile:
    """27: records that hold themselves, with values nested a thousand to a million deep."""
    itself: dict[str, Any] = record_of(("next", ["null", "shop.Event"]), ("n", "double"))
    by_array = record_of(("next", {"type": "array", "items": "shop.Event"}), ("n", "double"))
    inner = record_of(("back", ["null", "shop.Event"]), name="Inner")
    schemas = {i: json.dumps(schema) for i, schema in enumerate((itself, by_array, record_of(("inner", inner))))}
    bad = [confluent(i, varint(1) * depth + varint(0)) for i in schemas for depth in (10**3, 10**4, 10**6)]
    return _by_schema(schemas, bad)


def enormous_schemas() -> Hostile:
    """28: schemas that are deep, wide or long, or unfold to be."""
    deep: Any = "int"
    for level in range(300):
        deep = record_of(("x", deep), name=f"Level{level}")
    thousand = "[" * 1_000 + '"int"' + "]" * 1_000
    doubling: list[Any] = [("a0", record_of(("x", "int"), name="R0"))]
    doubling += [
        (f"a{i}", record_of(("l", f"shop.R{i - 1}"), ("r", f"shop.R{i - 1}"), name=f"R{i}")) for i in range(1, 31)
    ]
    texts = [
        json.dumps(record_of(("x", deep))),
        '{"type": "record", "name": "Event", "fields": [{"name": "x", "type": ' + thousand + "}]}",
        '{"type": "record", "name": "Event", "fields": ' + "[" * 1_000_000,
        json.dumps(record_of(*((f"f{i}", "int") for i in range(10_000)))),
        json.dumps(record_of(("x", "int"), doc="x" * 10_000_000)),
        json.dumps(record_of(*doubling)),
        json.dumps(record_of(("x", {"type": "fixed", "name": "F", "size": 2**62}))),
        json.dumps(record_of(("x", {"type": "enum", "name": "E", "symbols": []}))),
        "",
        "null",
    ]
    schemas = dict(enumerate(texts))
    return _by_schema(schemas, [confluent(i, varint(1) * 100) for i in schemas])


def slow_decimals() -> Hostile:
    """32: decimals of a hundred kilobytes, whose digits would take a second each to write out."""
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    bodies = [text(byte * size) + N for byte in (b"\x7f", b"\x01", b"\x80") for size in (1_000, 100_000)]
    bodies = [*bodies, text(b"") + N] * 8
    return Hostile(body_schema(kind), text(b"\x00") + N, 5, bodies, [INVALID] * len(bodies))


def near_the_limit() -> Hostile:
    """36: many records that are just within the size limit, all of them sound but the last of each batch."""
    most = text(b"a" * (MAX_BYTES - 30)) + N
    bodies = [most, most[:-1], most + b"\0"] * 2
    expected = ["predicted", MALFORMED, "decode/trailing_bytes"] * 2
    return Hostile(body_schema("string"), text(b"a") + N, 5, bodies, expected)


def enormous_ids() -> Hostile:
    """36: events whose id is nearly all of the record, and so of their prediction."""
    bodies = [text(b"a" * size) + N for size in (1_000_000, MAX_BYTES - 30)]
    return Hostile(body_schema("string"), text(b"a") + N, 5, bodies, ["predicted"] * 2, settings={"id": "x"})


def compressible() -> Hostile:
    """36: what a broker holds in a few bytes, once it is unpacked: texts of one character, and lists of zeros."""
    bodies = [text(b" " * 1_000_000) + N, text(bytes(1_000_000)) + N, bytes(1_000_000)]
    expected = ["predicted", "predicted", "decode/trailing_bytes"]
    return Hostile(body_schema("string"), text(b"a") + N, 5, bodies * 4, expected * 4)


def _by_schema(schemas: Mapping[int, str], bad: Sequence[bytes]) -> Hostile:
    reader = record_of(("n", "double"))
    return Hostile(reader, N, 5, bad, [REFUSED] * len(bad), framed=False, schemas=schemas)


ALL: Mapping[str, Callable[[], Hostile]] = {
    make.__name__: make
    for make in (
        *(lying_lengths, large_values, lying_arrays, long_vectors, lying_maps, items_of_no_bytes),
        *(recursive_schemas, enormous_schemas, slow_decimals, near_the_limit, enormous_ids, compressible),
    )
}
