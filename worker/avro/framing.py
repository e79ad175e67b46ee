"""Which schema a record was written by, and where its body starts.

Confluent's prefix is ``00`` and a big-endian int32 id; Avro's single-object encoding is ``C3 01`` and the little-endian
CRC-64-AVRO fingerprint of the schema's canonical form. Raw bytes of one configured schema are read only when the
settings say so, since a raw record can look like a prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worker.avro.schema import RecordSchema
from worker.records import IntArray, Reason, RecordBatch, Refusal, Stage

CONFLUENT_BYTES = 5
SINGLE_OBJECT_BYTES = 10
SINGLE_OBJECT_MARKER = b"\xc3\x01"


@dataclass(frozen=True, slots=True)
class Framed:
    """Rows of a batch by writer schema: ``rows[k]`` were written by ``schemas[k]``, bodies at ``body_start[row]``.

    ``body_start`` has the batch's length; null values (tombstones) are in no group and in no refusal, but in
    ``tombstones``.
    """

    schemas: tuple[RecordSchema, ...]
    rows: tuple[IntArray, ...]
    body_start: IntArray
    refusals: tuple[Refusal, ...]
    tombstones: IntArray


class UnknownSchema(LookupError):  # noqa: N818 - a verdict
    """Nobody knows a schema by that id or fingerprint."""


# By Confluent id or by fingerprint; raises UnknownSchema, or SchemaRefused when the gate refuses it.
SchemaLookup = Callable[[int | bytes], RecordSchema]


def frame_raw(batch: RecordBatch, schema: RecordSchema, max_bytes: int) -> Framed:
    """Every value is a body of the one schema."""
    tombstones, sized, refusals = _sized(batch, max_bytes, minimum=0)
    return Framed((schema,), (sized,), batch.values.start, refusals, tombstones)


def frame_detected(batch: RecordBatch, lookup: SchemaLookup, max_bytes: int) -> Framed:
    """Group the rows by the prefix they carry; a row without a known prefix or schema is refused."""
    tombstones, sized, refused = _sized(batch, max_bytes, minimum=CONFLUENT_BYTES)
    data = np.frombuffer(batch.values.buffer, np.uint8)
    start, end = batch.values.start, batch.values.end
    first, second = data[start[sized]], data[start[sized] + 1]
    confluent = sized[first == 0]
    single = sized[(first == SINGLE_OBJECT_MARKER[0]) & (second == SINGLE_OBJECT_MARKER[1])]
    single = single[end[single] - start[single] >= SINGLE_OBJECT_BYTES]
    refusals = list(refused)
    known = np.zeros(len(batch), np.bool_)
    known[confluent] = known[single] = True
    refusals += [
        Refusal(row, Stage.FRAMING, Reason.UNKNOWN_FRAMING, "neither a Confluent nor a single-object prefix")
        for row in sized[~known[sized]].tolist()
    ]
    body_start = start.copy()
    schemas: list[RecordSchema] = []
    groups: list[IntArray] = []
    for rows, width, key_bytes in (
        (confluent, CONFLUENT_BYTES, slice(1, 5)),
        (single, SINGLE_OBJECT_BYTES, slice(2, 10)),
    ):
        body_start[rows] += width
        for key, members in _groups(data, start, rows, key_bytes):
            try:
                schema = lookup(int.from_bytes(key, "big", signed=True) if width == CONFLUENT_BYTES else key)
            except UnknownSchema as error:
                refusals += [Refusal(row, Stage.FRAMING, Reason.UNKNOWN_SCHEMA, str(error)) for row in members.tolist()]
            except ValueError as error:
                refusals += [Refusal(row, Stage.FRAMING, Reason.SCHEMA_REFUSED, str(error)) for row in members.tolist()]
            else:
                schemas.append(schema)
                groups.append(members)
    return Framed(tuple(schemas), tuple(groups), body_start, tuple(refusals), tombstones)


def _sized(batch: RecordBatch, max_bytes: int, minimum: int) -> tuple[IntArray, IntArray, tuple[Refusal, ...]]:
    """Tombstones, rows of a sound length, and refusals of the rest."""
    length = batch.values.end - batch.values.start
    null = batch.values.start < 0
    empty = ~null & (length < minimum)
    large = ~null & (length > max_bytes)
    refusals = [
        Refusal(row, Stage.FRAMING, Reason.EMPTY_VALUE, f"the value is shorter than {minimum} bytes")
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
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    return [(unique[k].tobytes(), rows[inverse.reshape(-1) == k]) for k in range(len(unique))]
