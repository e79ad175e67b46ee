"""Which schema a record was written by, and where its body starts.

Confluent's prefix is ``00`` and a big-endian int32 id; Avro's single-object encoding is ``C3 01`` and the little-endian
CRC-64-AVRO fingerprint of the schema's canonical form. A header ``__value_schema_id`` of ``01`` and a GUID says it for
a value without a prefix; should there be a prefix of another schema as well, the record is refused. Raw bytes of one
configured schema are read only when the settings say so, since a raw record can look like a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from worker.avro.gate import WriterSchema
from worker.avro.schema import RecordSchema
from worker.records import IntArray, Reason, RecordBatch, Refusal, Stage

CONFLUENT_BYTES = 5
SINGLE_OBJECT_BYTES = 10
SINGLE_OBJECT_MARKER = b"\xc3\x01"
SCHEMA_HEADER = "__value_schema_id"
GUID_BYTES = 16
_GUID_MARKER = b"\x01"


@dataclass(frozen=True, slots=True)
class Framed:
    """Rows of a batch by writer schema: ``rows[k]`` were written by ``schemas[k]``, bodies at ``body_start[row]``.

    ``body_start`` has the batch's length; null values (tombstones) are in no group and in no refusal, but in
    ``tombstones``.
    """

    schemas: tuple[Schema, ...]
    rows: tuple[IntArray, ...]
    body_start: IntArray
    refusals: tuple[Refusal, ...]
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
    claims = _claims(batch)
    minimum = np.full(len(batch), CONFLUENT_BYTES)
    minimum[list(claims)] = 0
    tombstones, sized, refused = _sized(batch, max_bytes, minimum)
    grouping = _Grouping(lookup, batch.values.start.copy(), list(refused))
    if claims:
        claimed = np.isin(sized, list(claims))
        _group_claimed(batch, sized[claimed].tolist(), claims, grouping)
        sized = sized[~claimed]
    _group_prefixed(batch, sized, grouping)
    return Framed(
        tuple(grouping.schemas), tuple(grouping.groups), grouping.body_start, tuple(grouping.refusals), tombstones
    )


@dataclass(slots=True)
class _Grouping:
    """What ``Framed`` will hold, while it grows."""

    lookup: SchemaLookup
    body_start: IntArray
    refusals: list[Refusal]
    schemas: list[Schema] = field(default_factory=list)
    groups: list[IntArray] = field(default_factory=list)

    def refuse(self, rows: IntArray, reason: Reason, detail: str) -> None:
        self.refusals += [Refusal(row, Stage.FRAMING, reason, detail) for row in rows.tolist()]

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
    data = np.frombuffer(batch.values.buffer, np.uint8)
    start, end = batch.values.start, batch.values.end
    first, second = data[start[rows]], data[start[rows] + 1]
    confluent = first == 0
    single = (first == SINGLE_OBJECT_MARKER[0]) & (second == SINGLE_OBJECT_MARKER[1])
    single &= end[rows] - start[rows] >= SINGLE_OBJECT_BYTES
    unknown = rows[~(confluent | single)]
    grouping.refuse(unknown, Reason.UNKNOWN_FRAMING, "neither a Confluent nor a single-object prefix")
    for chosen, begin, width in ((confluent, 1, CONFLUENT_BYTES), (single, 2, SINGLE_OBJECT_BYTES)):
        grouping.body_start[rows[chosen]] += width
        for key, members in _groups(data, start, rows[chosen], slice(begin, width)):
            known = grouping.find(_as_id(key) if width == CONFLUENT_BYTES else key, members)
            if known is not None:
                grouping.add(known, members)


def _claims(batch: RecordBatch) -> dict[int, frozenset[bytes | None]]:
    """What the schema headers of the rows that have any say; most batches have none."""
    found = {row: [value for name, value in h if name == SCHEMA_HEADER] for row, h in batch.headers.items()}
    return {row: frozenset(values) for row, values in found.items() if values}


def _group_claimed(
    batch: RecordBatch, rows: list[int], claims: Mapping[int, frozenset[bytes | None]], grouping: _Grouping
) -> None:
    """Rows that a header speaks for; bodies stand behind a prefix of the same schema, if there is one."""
    by_claim: dict[frozenset[bytes | None], list[int]] = {}
    for row in rows:
        by_claim.setdefault(claims[row], []).append(row)
    for claim, members in by_claim.items():
        placed = np.array(members, np.int64)
        if len(claim) > 1:
            grouping.refuse(placed, Reason.SCHEMA_CONFLICT, f"several {SCHEMA_HEADER} headers disagree")
            continue
        (value,) = claim
        if value is None or len(value) != 1 + GUID_BYTES or not value.startswith(_GUID_MARKER):
            grouping.refuse(placed, Reason.UNKNOWN_FRAMING, f"the {SCHEMA_HEADER} header is not 01 and a GUID")
            continue
        schema = grouping.find(value[1:], placed)
        if schema is not None:
            _add_agreeing(batch, placed, schema, grouping)


def _add_agreeing(batch: RecordBatch, rows: IntArray, schema: Schema, grouping: _Grouping) -> None:
    """The rows whose prefix, if there is one, names no other schema than their header does."""
    agree = np.ones(len(rows), np.bool_)
    for i, row in enumerate(rows.tolist()):
        prefix, width = _prefix_schema(batch.values[row] or b"", grouping.lookup)
        agree[i] = prefix is None or prefix.fingerprint == schema.fingerprint
        grouping.body_start[row] += width
    detail = f"the {SCHEMA_HEADER} header and the prefix name different schemas"
    grouping.refuse(rows[~agree], Reason.SCHEMA_CONFLICT, detail)
    grouping.add(schema, rows[agree])


def _prefix_schema(value: bytes, lookup: SchemaLookup) -> tuple[Schema | None, int]:
    """The schema that a prefix names, and the prefix's width; None and 0 where nothing known stands in front."""
    key: int | bytes
    if value.startswith(SINGLE_OBJECT_MARKER) and len(value) >= SINGLE_OBJECT_BYTES:
        key, width = value[2:SINGLE_OBJECT_BYTES], SINGLE_OBJECT_BYTES
    elif value.startswith(b"\x00") and len(value) >= CONFLUENT_BYTES:
        key, width = _as_id(value[1:CONFLUENT_BYTES]), CONFLUENT_BYTES
    else:
        return None, 0
    try:
        return lookup(key), width
    except (UnknownSchema, ValueError):
        return None, 0


def _as_id(key: bytes) -> int:
    return int.from_bytes(key, "big", signed=True)


def _sized(batch: RecordBatch, max_bytes: int, minimum: IntArray) -> tuple[IntArray, IntArray, tuple[Refusal, ...]]:
    """Tombstones, rows of a sound length, and refusals of the rest."""
    length = batch.values.end - batch.values.start
    null = batch.values.start < 0
    empty = ~null & (length < minimum)
    large = ~null & (length > max_bytes)
    refusals = [
        Refusal(row, Stage.FRAMING, Reason.EMPTY_VALUE, f"the value is shorter than {minimum[row]} bytes")
        for row in np.flatnonzero(empty).tolist()
    ]
    refusals += [
        Refusal(row, Stage.FRAMING, Reason.TOO_LARGE, f"the value is longer than {max_bytes} bytes")
        for row in np.flatnonzero(large).tolist()
    ]
    return np.flatnonzero(null), np.flatnonzero(~(null | empty | large)), tuple(refusals)


def _groups(
    data: np.ndarray[tuple[int], np.dtype[np.uint8]], start: IntArray, rows: IntArray, key: slice
) -> list[tuple[bytes, IntArray]]:
    if not len(rows):
        return []
    columns = start[rows, None] + np.arange(key.start, key.stop)
    keys = data[columns]
    if (keys == keys[0]).all():
        return [(keys[0].tobytes(), rows)]
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    return [(unique[k].tobytes(), rows[inverse.reshape(-1) == k]) for k in range(len(unique))]
