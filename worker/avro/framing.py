"""Which schema a record was written by, and where its body starts.

Confluent's prefix is ``00`` and a big-endian int32 id; Avro's single-object encoding is ``C3 01`` and the little-endian
CRC-64-AVRO fingerprint of the schema's canonical form. A header ``__value_schema_id`` of ``01`` and a GUID says it for
a value without a prefix; should there be a prefix of another schema as well, the record is refused. Raw bytes of one
configured schema are read only when the settings say so, since a raw record can look like a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from worker.avro.claims import Claims, alike, headed
from worker.avro.gate import WriterSchema
from worker.avro.schema import RecordSchema
from worker.records import Cause, IntArray, Reason, RecordBatch, Refusals, Slices, Stage, value_class

CONFLUENT_BYTES = 5
CONFLUENT_MARKER = b"\x00"
SINGLE_OBJECT_BYTES = 10
SINGLE_OBJECT_MARKER = b"\xc3\x01"
SCHEMA_HEADER = "__value_schema_id"
GUID_BYTES = 16
_GUID_MARKER = b"\x01"
TOO_SHORT = Cause(Stage.FRAMING, Reason.EMPTY_VALUE, f"the value is shorter than {CONFLUENT_BYTES} bytes")


@value_class
class Framed:
    """Rows of a batch by writer schema: ``rows[k]`` were written by ``schemas[k]``, bodies at ``body_start[row]``.

    ``body_start`` has the batch's length; null values (tombstones) are in no group and in no refusal, but in
    ``tombstones``.
    """

    schemas: tuple[Schema, ...]
    rows: tuple[IntArray, ...]
    body_start: IntArray
    refusals: Refusals
    tombstones: IntArray


# A schema that the worker was given, or one that only a writer has.
Schema = RecordSchema | WriterSchema


class UnknownSchema(LookupError):  # noqa: N818 - a verdict
    """Nobody knows a schema by that id or fingerprint."""


# By Confluent id (int), fingerprint (8 bytes) or GUID (16); raises UnknownSchema, or SchemaRefused when the gate refuses.
SchemaLookup = Callable[[int | bytes], Schema]


def frame_raw(batch: RecordBatch, schema: RecordSchema, max_bytes: int) -> Framed:
    """Every value is a body of the one schema."""
    tombstones, sized, refusals = _sized(batch, max_bytes, np.zeros(len(batch), np.int64))
    return Framed((schema,), (sized,), batch.values.start, refusals, tombstones)


def frame_detected(batch: RecordBatch, lookup: SchemaLookup, max_bytes: int) -> Framed:
    """Group the rows by the prefix or header they carry; a row without a known framing or schema is refused."""
    claims = headed(batch, SCHEMA_HEADER) if batch.headers else None
    if (claims is None or not len(claims.spoken_for)) and (framed := _all_alike(batch, lookup, max_bytes)):
        return framed
    minimum = np.full(len(batch), CONFLUENT_BYTES)
    if claims is not None:
        minimum[claims.spoken_for] = 0
    tombstones, sized, refused = _sized(batch, max_bytes, minimum)
    grouping = _Grouping(lookup, batch.values.start.copy(), [refused])
    if claims is not None and len(claims.spoken_for):
        _group_claimed(batch, claims.among(sized), grouping)
        sized = np.setdiff1d(sized, claims.spoken_for, assume_unique=True)
    _group_prefixed(batch, sized, grouping)
    refusals = Refusals.joined(grouping.refusals)
    return Framed(tuple(grouping.schemas), tuple(grouping.groups), grouping.body_start, refusals, tombstones)


def _all_alike(batch: RecordBatch, lookup: SchemaLookup, max_bytes: int) -> Framed | None:
    """The usual case, at a glance: all begin with the same prefix, of a known schema. None: look more closely."""
    values = batch.values
    prefix = _only_prefix(values, max_bytes) if len(batch) == 1 else _shared_prefix(values, max_bytes)
    key = None if prefix is None else _key(prefix)
    if prefix is None or key is None:
        return None
    width = SINGLE_OBJECT_BYTES if prefix.startswith(SINGLE_OBJECT_MARKER) else CONFLUENT_BYTES
    try:
        schema = lookup(key)
    except (UnknownSchema, ValueError):
        return None
    return Framed((schema,), (np.arange(len(batch)),), values.start + width, Refusals.none(), np.empty(0, np.int64))


def _only_prefix(values: Slices, max_bytes: int) -> bytes | None:
    """The first ``SINGLE_OBJECT_BYTES`` of the only value; None if it is null, too short or too long."""
    start, end = int(values.start[0]), int(values.end[0])
    if start < 0 or not SINGLE_OBJECT_BYTES <= end - start <= max_bytes:
        return None
    return bytes(values.buffer[start : start + SINGLE_OBJECT_BYTES])


def _shared_prefix(values: Slices, max_bytes: int) -> bytes | None:
    """The first ``SINGLE_OBJECT_BYTES`` of values that all begin alike, as far as it matters; None if they don't."""
    length = values.end - values.start
    if not len(values) or values.start.min() < 0 or length.min() < SINGLE_OBJECT_BYTES or length.max() > max_bytes:
        return None
    octets = values.octets(SINGLE_OBJECT_BYTES)
    prefix = octets[0].tobytes()
    width = SINGLE_OBJECT_BYTES if prefix.startswith(SINGLE_OBJECT_MARKER) else CONFLUENT_BYTES
    return prefix if (octets[1:, :width] == octets[0, :width]).all() else None


def _key(prefix: bytes) -> int | bytes | None:
    """What a prefix of ``SINGLE_OBJECT_BYTES`` names; None if it is none."""
    if prefix.startswith(SINGLE_OBJECT_MARKER):
        return prefix[len(SINGLE_OBJECT_MARKER) :]
    if prefix.startswith(CONFLUENT_MARKER):
        return int.from_bytes(prefix[len(CONFLUENT_MARKER) : CONFLUENT_BYTES], "big", signed=True)
    return None


@dataclass(slots=True)
class _Grouping:
    """What ``Framed`` will hold, while it grows."""

    lookup: SchemaLookup
    body_start: IntArray
    refusals: list[Refusals]
    schemas: list[Schema] = field(default_factory=list)
    groups: list[IntArray] = field(default_factory=list)

    def refuse(self, rows: IntArray, reason: Reason, detail: str) -> None:
        self.refusals.append(Refusals.alike(rows, Cause(Stage.FRAMING, reason, detail)))

    def find(self, key: int | bytes, rows: IntArray) -> Schema | None:
        """The schema of that key; None, and the rows are refused, where there is none."""
        try:
            return self.lookup(key)
        except UnknownSchema as error:
            self.refuse(rows, Reason.UNKNOWN_SCHEMA, str(error))
        except ValueError as error:
            self.refuse(rows, Reason.SCHEMA_REFUSED, str(error))
        return None

    def add(self, schema: Schema, rows: IntArray) -> None:
        self.schemas.append(schema)
        self.groups.append(rows)


def _group_prefixed(batch: RecordBatch, rows: IntArray, grouping: _Grouping) -> None:
    """Rows of at least ``CONFLUENT_BYTES`` that no header speaks for."""
    prefixed = np.zeros(len(batch), np.bool_)
    for key, width, members in _prefixes(batch.values, rows):
        prefixed[members] = True
        grouping.body_start[members] += width
        known = grouping.find(key, members)
        if known is not None:
            grouping.add(known, members)
    unknown = rows[~prefixed[rows]]
    grouping.refuse(unknown, Reason.UNKNOWN_FRAMING, "neither a Confluent nor a single-object prefix")


def _group_claimed(batch: RecordBatch, claims: Claims, grouping: _Grouping) -> None:
    """Rows that a header speaks for; bodies stand behind a prefix of the same schema, if there is one."""
    grouping.refuse(claims.torn, Reason.SCHEMA_CONFLICT, f"several {SCHEMA_HEADER} headers disagree")
    names_one = claims.values.start_with(_GUID_MARKER, 1 + GUID_BYTES)
    detail = f"the {SCHEMA_HEADER} header is not 01 and a GUID"
    grouping.refuse(claims.rows[~names_one], Reason.UNKNOWN_FRAMING, detail)
    whole = np.flatnonzero(names_one)
    for value, members in alike(claims.values.take(whole).octets(1 + GUID_BYTES)):
        rows = claims.rows[whole[members]]
        schema = grouping.find(value[1:], rows)
        if schema is not None:
            _add_agreeing(batch, rows, schema, grouping)


def _add_agreeing(batch: RecordBatch, rows: IntArray, schema: Schema, grouping: _Grouping) -> None:
    """The rows whose prefix, if there is one, names no other schema than their header does."""
    other = np.zeros(len(batch), np.bool_)
    for key, width, members in _prefixes(batch.values, rows):
        try:
            prefix = grouping.lookup(key)
        except (UnknownSchema, ValueError):
            continue  # nothing known stands in front: it is the body
        grouping.body_start[members] += width
        other[members] = prefix.fingerprint != schema.fingerprint
    detail = f"the {SCHEMA_HEADER} header and the prefix name different schemas"
    grouping.refuse(rows[other[rows]], Reason.SCHEMA_CONFLICT, detail)
    grouping.add(schema, rows[~other[rows]])


def _prefixes(values: Slices, rows: IntArray) -> Iterator[tuple[int | bytes, int, IntArray]]:
    """Of the rows that have the form of a prefix: what it names, its width, and the rows."""
    confluent = rows[values.take(rows).start_with(CONFLUENT_MARKER, CONFLUENT_BYTES, or_more=True)]
    for key, members in alike(values.take(confluent).octets(CONFLUENT_BYTES)):
        yield int.from_bytes(key[1:], "big", signed=True), CONFLUENT_BYTES, confluent[members]
    single = rows[values.take(rows).start_with(SINGLE_OBJECT_MARKER, SINGLE_OBJECT_BYTES, or_more=True)]
    for key, members in alike(values.take(single).octets(SINGLE_OBJECT_BYTES)):
        yield key[2:], SINGLE_OBJECT_BYTES, single[members]


def _sized(batch: RecordBatch, max_bytes: int, minimum: IntArray) -> tuple[IntArray, IntArray, Refusals]:
    """Tombstones, rows of a sound length, and refusals of the rest; ``minimum`` is ``CONFLUENT_BYTES`` or 0."""
    length = batch.values.end - batch.values.start
    null = batch.values.start < 0
    empty = ~null & (length < minimum)
    large = ~null & (length > max_bytes)
    refusals = [
        Refusals.alike(np.flatnonzero(empty), TOO_SHORT),
        Refusals.alike(
            np.flatnonzero(large),
            Cause(Stage.FRAMING, Reason.TOO_LARGE, f"the value is longer than {max_bytes} bytes"),
        ),
    ]
    return np.flatnonzero(null), np.flatnonzero(~(null | empty | large)), Refusals.joined(refusals)
