"""Who an event is and when it happened: the id and time that its prediction carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.avro.schema import Kind, RecordSchema
from worker.columns import FEW_ROWS, Columns, NumberColumn, TextColumn
from worker.records import IntArray, RecordBatch, Slices

_PER_MILLISECOND = {
    "timestamp-millis": 1,
    "local-timestamp-millis": 1,
    "timestamp-micros": 1_000,
    "local-timestamp-micros": 1_000,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Names of the id and time fields; None: topic-partition-offset, and Kafka's timestamp."""

    id_field: str | None = None
    time_field: str | None = None
    _time_units_per_millisecond: int = 1

    @staticmethod
    def of(schema: RecordSchema, id_field: str | None, time_field: str | None) -> Identity:
        """For fields without ``problems``."""
        field = schema.field(time_field) if time_field is not None else None
        logical = field.logical if field is not None and field.logical else "timestamp-millis"
        return Identity(id_field, time_field, _PER_MILLISECOND.get(logical, 1))

    @staticmethod
    def problems(schema: RecordSchema, id_field: str | None, time_field: str | None) -> list[str]:
        """What does not fit the schema, a line each."""
        found = []
        if id_field is not None:
            field = schema.field(id_field)
            if field is None or field.nullable or field.kind not in (Kind.STRING, Kind.INT, Kind.LONG):
                found.append(
                    f"event.id names {id_field}: the schema needs a string, int or long of that name, not nullable"
                )
        if time_field is not None:
            field = schema.field(time_field)
            unit = (field.logical or "timestamp-millis") if field is not None else ""
            if field is None or field.nullable or field.kind is not Kind.LONG or unit not in _PER_MILLISECOND:
                found.append(
                    f"event.time names {time_field}: the schema needs a timestamp in milli- or microseconds of that name, not nullable"
                )
        return found

    def ids(self, batch: RecordBatch, columns: Columns, rows: IntArray) -> Slices:
        """Ids of the batch rows ``rows``, whose columns are given, in UTF-8."""
        if self.id_field is not None and len(rows) <= FEW_ROWS:
            found = columns.values(self.id_field)
            return Slices.of([value if isinstance(value, bytes) else str(value).encode() for value in found])
        if self.id_field is not None:
            column = columns[self.id_field]
            if isinstance(column, TextColumn):
                return column.slices()
            return Slices.of([str(value).encode() for value in column.objects().tolist()])
        places = zip(batch.partition[rows].tolist(), batch.offset[rows].tolist(), strict=True)
        return Slices.of([f"{batch.topic}-{partition}-{offset}".encode() for partition, offset in places])

    def times_ms(self, batch: RecordBatch, columns: Columns, rows: IntArray) -> IntArray:
        """Event times in Unix milliseconds, int64 of the length of ``rows``."""
        if self.time_field is None:
            return batch.timestamp_ms[rows]
        if len(rows) <= FEW_ROWS:
            units = self._time_units_per_millisecond
            return np.array([value // units for value in columns.values(self.time_field)], np.int64)
        column = columns[self.time_field]
        assert isinstance(column, NumberColumn)  # see ``problems``
        if self._time_units_per_millisecond == 1:
            return column.values
        times: IntArray = np.floor_divide(column.values, self._time_units_per_millisecond).astype(np.int64)
        return times
