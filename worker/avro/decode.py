"""Bodies to columns, by the reader schema; a record that can't be decoded is refused alone.

Strict: the body must end exactly where the record ends. A writer schema of another record name is refused, since
resolution would make plausible nonsense of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np

from worker.avro.framing import Framed
from worker.avro.schema import Field, Kind, RecordSchema
from worker.columns import Column, Columns, NumberColumn, TextColumn
from worker.records import IntArray, Reason, RecordBatch, Refusal, Slices, Stage

_DTYPES = {
    Kind.BOOLEAN: np.bool_,
    Kind.INT: np.int32,
    Kind.LONG: np.int64,
    Kind.FLOAT: np.float32,
    Kind.DOUBLE: np.float64,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Columns of the rows that could be decoded: column row i is row ``rows[i]`` of the batch, in batch order."""

    columns: Columns
    rows: IntArray
    refusals: tuple[Refusal, ...]
    tombstones: IntArray


class Decoder:
    """Decodes batches into the columns of one reader schema."""

    def __init__(self, schema: RecordSchema, frame: Callable[[RecordBatch], Framed]) -> None:
        self.schema = schema
        self._frame = frame

    def decode(self, batch: RecordBatch) -> Decoded:
        framed = self._frame(batch)
        values: dict[int, Any] = {}
        refusals = list(framed.refusals)
        for writer, rows in zip(framed.schemas, framed.rows, strict=True):
            if _plain_name(writer) != _plain_name(self.schema):
                reason = f"written as {writer.name}, expected {self.schema.name}"
                refusals += [Refusal(row, Stage.DECODE, Reason.WRONG_RECORD_TYPE, reason) for row in rows.tolist()]
                continue
            bodies = Slices(batch.values.buffer, framed.body_start[rows], batch.values.end[rows]).to_list()
            for row, body in zip(rows.tolist(), bodies, strict=True):
                result = self._read(writer, row, body or b"")
                if isinstance(result, Refusal):
                    refusals.append(result)
                else:
                    values[row] = result
        rows = np.array(sorted(values), np.int64)
        ordered = [values[row] for row in rows.tolist()]
        columns = Columns({f.name: column_of(f, ordered) for f in self.schema.fields}, len(ordered))
        return Decoded(columns, rows, tuple(refusals), framed.tombstones)

    def _read(self, writer: RecordSchema, row: int, body: bytes) -> Any:
        """The record as fastavro reads it, or a Refusal."""
        stream = io.BytesIO(body)
        reader = None if writer.fingerprint == self.schema.fingerprint else self.schema.parsed
        try:
            value = fastavro.schemaless_reader(stream, writer.parsed, reader)
        except Exception:  # noqa: BLE001 - fastavro raises a dozen kinds; every one means that the bytes are at fault
            return Refusal(row, Stage.DECODE, Reason.MALFORMED, f"the bytes are no {writer.name}")
        if left := len(body) - stream.tell():
            return Refusal(row, Stage.DECODE, Reason.TRAILING_BYTES, f"{left} bytes follow the record")
        return value


def column_of(field: Field, rows: list[dict[str, Any]]) -> Column:
    """The column of one (dotted) field of decoded records."""
    items: list[Any] = rows
    for part in field.name.split("."):
        items = [item[part] for item in items]
    null = np.fromiter((item is None for item in items), np.bool_, len(items)) if field.nullable else None
    mask = null if null is not None and null.any() else None
    if field.kind.is_text:
        objects = np.empty(len(items), object)
        objects[:] = items
        return TextColumn(objects, mask)
    if mask is not None:
        items = [0 if item is None else item for item in items]
    return NumberColumn(np.array(items, _DTYPES[field.kind]), mask)


def _plain_name(schema: RecordSchema) -> str:
    """The name that resolution compares: Avro matches records by their unqualified name."""
    return schema.name.rpartition(".")[2]
