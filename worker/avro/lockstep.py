"""Bodies to columns, all records of a batch abreast, field by field.

Two readers of one program end in the same columns and the same verdicts. The lockstep reader takes what is plainly good;
whatever it doubts goes to the record reader, which alone refuses, and which of many such records reads only what the lanes
have not shown to be good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.cells import Cells, Out, ReadColumn, blank_cells, cells_of, constant_column, finished, own, patch
from worker.avro.fallback import RecordReader
from worker.avro.faults import Refused, Verdict, cause_of
from worker.avro.few import FewRecords, LateColumns
from worker.avro.gate import WriterSchema, record_of
from worker.avro.lanes import Lanes, Views
from worker.avro.nodes import Record
from worker.avro.plan import WIDEST_RUN, grouped, reach
from worker.avro.resolution import resolve
from worker.avro.schema import RecordSchema
from worker.avro.slots import Slot
from worker.columns import FEW_ROWS
from worker.columns.text import PAD_BYTES
from worker.records import IntArray, Refusals, value_class

DEFAULT_SWITCH_ROWS = 16
Place = tuple[int, int, int, int, int]
"""A record to be judged: its row, where it begins and ends, where the reader begins with it, and with which step."""


@value_class
class Reading:
    """Columns by (dotted) reader's field, every one of n rows; refused rows hold zeros and empty texts.

    ``few``: of few rows, none of them refused, their values (see ``Columns.few``).
    ``fault`` is uint8 of shape (n,), a ``Fault`` each, 0 where the row is good; ``refusals`` says of each refused row
    where it failed, in row order.
    """

    columns: Mapping[str, ReadColumn]
    fault: npt.NDArray[np.uint8]
    refusals: Refusals
    few: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def good(self) -> IntArray:
        return np.flatnonzero(self.fault == 0)


class ColumnReader:
    """Reads what one writer schema wrote as the columns of one reader schema.

    From ``switch_rows`` rows on a batch is read in lockstep, below that record by record. Raises SchemaRefused when the
    reader can't read what the writer writes.
    """

    def __init__(
        self,
        writer: WriterSchema | RecordSchema,
        reader: RecordSchema | WriterSchema,
        switch_rows: int = DEFAULT_SWITCH_ROWS,
    ) -> None:
        program = resolve(_root(writer), _root(reader))
        self.switch_rows = switch_rows
        self.program = program
        self._read_slots = [slot for slot in program.slots if slot.index not in program.constants]
        self._operations = grouped([program.root])
        self._steps = sum(count for _, count in self._operations)
        self._pad = bytes(1 + reach(program.root) + max(PAD_BYTES, WIDEST_RUN))
        self._records = RecordReader(program)
        self._few = FewRecords(program)

    def read(self, buffer: bytes | bytearray | memoryview, start: IntArray, end: IntArray) -> Reading:
        """Read the bodies ``buffer[start[i]:end[i]]``; 0 <= start <= end <= len(buffer), none is null."""
        if len(start) < max(1, self.switch_rows):
            return self.read_by_record(buffer, start, end)
        return self.read_in_lockstep(buffer, start, end)

    def read_in_lockstep(self, buffer: bytes | bytearray | memoryview, start: IntArray, end: IntArray) -> Reading:
        """As ``read``, of at least one row."""
        data = b"".join((buffer, self._pad))
        views, out = Views(data), self._out()
        lanes = Lanes(views, start, end + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            for operation, _ in self._operations:
                operation.run(lanes, out)
        lanes.suspect(lanes.cursor != end)
        doubted = np.flatnonzero(lanes.doubt)
        cells = [out[slot.index] or blank_cells(slot, len(start)) for slot in self._read_slots]
        if not len(doubted):
            return self._reading(cells, data, len(start), _Judged())
        doubts = self._doubts(views, start, end, doubted)
        judged = self._judged(data, doubts.places(start, end))
        return self._reading(self._mended(cells, start, doubted, judged), data, len(start), judged)

    def read_by_record(self, buffer: bytes | bytearray | memoryview, start: IntArray, end: IntArray) -> Reading:
        """As ``read``, without lanes."""
        data = b"".join((buffer, self._pad))
        bases = start.tolist()
        judged = self._judged(
            data, ((i, begin, stop, begin, 0) for i, (begin, stop) in enumerate(zip(bases, end.tolist(), strict=True)))
        )
        if not judged.values or judged.rows:
            return self._reading(self._mended(None, start, np.arange(len(start)), judged), data, len(start), judged)
        read, values, count = self._few, judged.values, len(bases)
        if count > FEW_ROWS:
            return self._read(read.columns(values, bases, data), count, judged)
        late = LateColumns(lambda: self._with_constants(read.columns(values, bases, data), count))
        return Reading(late, np.zeros(count, np.uint8), Refusals.none(), read.values(values, bases, data))

    def _out(self) -> Out:
        return [None] * len(self.program.slots)

    def _doubts(self, views: Views, start: IntArray, end: IntArray, rows: IntArray) -> _Doubts:
        """Where the record reader may begin with each of ``rows``.

        What comes before is plainly good: an undoubted lane that has not passed its record's end is where the record
        reader would be, and neither has found anything. Few rows are not worth another walk: they begin at their start.
        """
        at, first = start[rows], np.zeros(len(rows), np.int64)
        doubts = _Doubts(rows, at, first)
        if len(rows) < max(1, self.switch_rows):
            return doubts
        left, lanes, out, step = np.arange(len(rows)), Lanes(views, at, end[rows] + 1), self._out(), 0
        with np.errstate(over="ignore", invalid="ignore"):
            for operation, count in self._operations:
                before = lanes.cursor
                operation.run(lanes, out)
                doubted = (lanes.doubt != 0) | (lanes.cursor >= lanes.stop)
                if doubted.any():
                    found, kept = left[doubted], np.flatnonzero(~doubted)
                    at[found], first[found] = before[doubted], step
                    if not len(kept):
                        return doubts
                    left, lanes = left[kept], lanes.subset(kept)
                step += count
        at[left], first[left] = lanes.cursor, step
        return doubts

    def _judged(self, data: bytes, places: Iterable[Place]) -> _Judged:
        """What the record reader says."""
        judged = _Judged()
        read = self._records.read
        for row, begin, stop, position, step in places:
            body = data[begin:stop]
            try:
                values = read(body, position - begin, step)
                judged.values.append(read(body) if step else values)
                judged.good.append(row)
            except Refused as refused:
                judged.verdicts.append(refused.verdict)
                judged.rows.append(row)
        return judged

    def _mended(self, cells: list[Cells] | None, start: IntArray, rows: IntArray, judged: _Judged) -> list[Cells]:
        """The cells with ``rows`` as they were judged: read anew, or blank; no cells: these are all rows."""
        if len(rows) == len(start) and not judged.good:
            return [blank_cells(slot, len(start)) for slot in self._read_slots]
        columns: list[Any] = list(zip(*judged.values, strict=True)) or [[] for _ in self.program.slots]
        good = np.array(judged.good, np.int64)
        bases = start[good].tolist()
        parts = [cells_of(slot, columns[slot.index], bases) for slot in self._read_slots]
        if len(good) == len(start):
            return parts
        cells = cells or [blank_cells(slot, len(start)) for slot in self._read_slots]
        return [
            self._merged(slot, whole, part, rows, good)
            for slot, whole, part in zip(self._read_slots, cells, parts, strict=True)
        ]

    @staticmethod
    def _merged(slot: Slot, whole: Cells, part: Cells, rows: IntArray, good: IntArray) -> Cells:
        """``whole`` with ``part`` in its ``good`` rows and nothing in the others of ``rows``."""
        merged = own(whole)
        patch(slot, merged, rows, blank_cells(slot, len(rows)))
        patch(slot, merged, good, part)
        return merged

    def _reading(self, cells: list[Cells], data: bytes, count: int, judged: _Judged) -> Reading:
        found = {slot.index: finished(slot, column, data) for slot, column in zip(self._read_slots, cells, strict=True)}
        return self._read(found, count, judged)

    def _read(self, found: Mapping[int, ReadColumn], count: int, judged: _Judged) -> Reading:
        fault = np.zeros(count, np.uint8)
        if judged.rows:
            fault[judged.rows] = [verdict[0] for verdict in judged.verdicts]
        return Reading(self._with_constants(found, count), fault, judged.refusals())

    def _with_constants(self, found: Mapping[int, ReadColumn], count: int) -> dict[str, ReadColumn]:
        """By name, constants beside what was found."""
        return {
            slot.name: found[slot.index]
            if slot.index in found
            else constant_column(slot, self.program.constants[slot.index], count)
            for slot in self.program.slots
        }


@dataclass(frozen=True, slots=True)
class _Doubts:
    """Which rows the record reader judges, where it begins ``at`` in the buffer, and the number of the ``first`` step."""

    rows: IntArray
    at: IntArray
    first: IntArray

    def places(self, start: IntArray, end: IntArray) -> Iterator[Place]:
        rows = self.rows
        columns = (rows, start[rows], end[rows], self.at, self.first)
        return zip(*(column.tolist() for column in columns), strict=True)


@dataclass(slots=True)
class _Judged:
    """What the record reader finds, in row order: ``values`` of the ``good`` rows, ``verdicts`` of the refused ``rows``."""

    good: list[int] = field(default_factory=list)
    values: list[list[Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def refusals(self) -> Refusals:
        if not self.rows:
            return Refusals.none()
        numbers = {verdict: i for i, verdict in enumerate(dict.fromkeys(self.verdicts))}
        kind = np.array([numbers[verdict] for verdict in self.verdicts], np.int64)
        return Refusals(np.array(self.rows, np.int64), kind, tuple(map(cause_of, numbers)))


def _root(schema: WriterSchema | RecordSchema) -> Record:
    return schema.root if isinstance(schema, WriterSchema) else record_of(schema.text)
