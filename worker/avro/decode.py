"""Bodies to columns, by the reader schema; a record that can't be decoded is refused alone.

Each writer schema met is compiled once against the reader schema (``lockstep``); a batch is read by columns, and what
is doubtful or stands in a small batch is read record by record, with the same verdicts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from worker.avro.bounds import SchemaRefused
from worker.avro.framing import Framed, Schema
from worker.avro.joined import joined
from worker.avro.lockstep import DEFAULT_SWITCH_ROWS, ColumnReader, Reading
from worker.avro.resolution import WrongRecordType
from worker.avro.schema import RecordSchema
from worker.avro.switchover import measured_switch_rows
from worker.columns import Columns
from worker.records import Cause, IntArray, Reason, RecordBatch, Refusals, Stage, value_class

MOST_READERS = 256


@value_class
class Decoded:
    """Columns of the rows that could be decoded: column row i is row ``rows[i]`` of the batch, in batch order."""

    columns: Columns
    rows: IntArray
    refusals: Refusals
    tombstones: IntArray


class Decoder:
    """Decodes batches into the columns of one reader schema.

    With a ``timer`` (seconds) the batch size from which columns pay is measured, a few milliseconds once.
    """

    def __init__(
        self, schema: RecordSchema, frame: Callable[[RecordBatch], Framed], timer: Callable[[], float] | None = None
    ) -> None:
        self.schema = schema
        self._frame = frame
        own = ColumnReader(schema, schema)
        own.switch_rows = measured_switch_rows(own, timer) if timer else DEFAULT_SWITCH_ROWS
        self._own = own
        self._readers: dict[str, ColumnReader | Cause] = {schema.text: own}

    def decode(self, batch: RecordBatch) -> Decoded:
        framed = self._frame(batch)
        refusals = [framed.refusals]
        parts: list[tuple[IntArray, Reading]] = []
        for writer, rows in zip(framed.schemas, framed.rows, strict=True):
            reader = self._reader(writer)
            if isinstance(reader, Cause):
                refusals.append(Refusals.alike(rows, reader))
                continue
            start, end = framed.body_start, batch.values.end
            if len(rows) != len(batch):
                start, end = start[rows], end[rows]
            reading = reader.read(batch.values.buffer, start, end)
            refusals.append(reading.refusals.among(rows))
            parts.append((rows, reading))
        if not parts:
            nothing = np.empty(0, np.int64)
            parts = [(nothing, self._own.read(b"", nothing, nothing))]
        columns, rows = _in_batch_order(parts)
        return Decoded(columns, rows, Refusals.joined(refusals), framed.tombstones)

    def _reader(self, writer: Schema) -> ColumnReader | Cause:
        """The reader of what the writer writes, or why there can be none."""
        known = self._readers.get(writer.text)
        if known is None:
            try:
                known = ColumnReader(writer, self.schema, self._own.switch_rows)
            except WrongRecordType as error:
                known = Cause(Stage.DECODE, Reason.WRONG_RECORD_TYPE, str(error))
            except SchemaRefused as error:
                known = Cause(Stage.DECODE, Reason.SCHEMA_REFUSED, str(error))
            if len(self._readers) < MOST_READERS:  # a stranger's schemas must not fill the memory
                self._readers[writer.text] = known
        return known


def _in_batch_order(parts: list[tuple[IntArray, Reading]]) -> tuple[Columns, IntArray]:
    """The good rows of all parts as one set of columns."""
    if len(parts) == 1 and not parts[0][1].refusals:
        rows, reading = parts[0]
        return Columns(reading.columns, len(rows), reading.few), rows
    rows = np.concatenate([rows[reading.fault == 0] for rows, reading in parts])
    if len(parts) == 1:
        reading = parts[0][1]
        return Columns(reading.columns, len(reading.fault)).take(reading.good), rows
    names = parts[0][1].columns.keys()
    together = {name: joined([reading.columns[name].take(reading.good) for _, reading in parts]) for name in names}
    order = np.argsort(rows, kind="stable")
    return Columns(together, len(rows)).take(order), rows[order]
