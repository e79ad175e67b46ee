"""Bodies to columns, all records of a batch abreast, field by field.

Two readers of one program end in the same columns and the same verdicts. The lockstep reader takes what is plainly good;
whatever it doubts goes to the record reader, which alone refuses. So a batch in which every record is odd is read slowly
and just as correctly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.cells import Cells, Out, ReadColumn, blank_cells, cells_of, constant_column, finished, own, patch
from worker.avro.fallback import RecordReader
from worker.avro.faults import Refused, RowFault
from worker.avro.gate import WriterSchema, record_of
from worker.avro.lanes import Lanes, Views
from worker.avro.nodes import Record
from worker.avro.plan import WIDEST_RUN, compile_steps, reach
from worker.avro.resolution import resolve
from worker.avro.schema import RecordSchema
from worker.avro.slots import Slot
from worker.columns.text import PAD_BYTES
from worker.records import IntArray

DEFAULT_SWITCH_ROWS = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """Columns by (dotted) reader's field, every one of n rows; refused rows hold zeros and empty texts.

    ``fault`` is uint8 of shape (n,), a ``Fault`` each, 0 where the row is good; ``faults`` says where each refused row
    failed, in row order.
    """

    columns: Mapping[str, ReadColumn]
    fault: npt.NDArray[np.uint8]
    faults: tuple[RowFault, ...]

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
        self._operations = compile_steps([program.root])
        self._pad = bytes(1 + reach(program.root) + max(PAD_BYTES, WIDEST_RUN))
        self._records = RecordReader(program)

    def read(self, buffer: bytes | bytearray | memoryview, start: IntArray, end: IntArray) -> Reading:
        """Read the bodies ``buffer[start[i]:end[i]]``; 0 <= start <= end <= len(buffer), none is null."""
        if len(start) < max(1, self.switch_rows):
            return self.read_by_record(buffer, start, end)
        return self.read_in_lockstep(buffer, start, end)

    def read_in_lockstep(self, buffer: bytes | bytearray | memoryview, start: IntArray, end: IntArray) -> Reading:
        """As ``read``, of at least one row."""
        data = b"".join((buffer, self._pad))
        out: Out = [None] * len(self.program.slots)
        lanes = Lanes(Views(data), start, end + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            for operation in self._operations:
                operation.run(lanes, out)
        lanes.suspect(lanes.cursor != end)
        found = [out[slot.index] or blank_cells(slot, len(start)) for slot in self._read_slots]
        doubted = np.flatnonzero(lanes.doubt)
        if not len(doubted):
            return self._reading(found, data, len(start), [])
        return self._reading(*self._judged(found, data, start, end, doubted))

    def read_by_record(self, buffer: bytes | bytearray | memoryview, start: IntArray, end: IntArray) -> Reading:
        """As ``read``, without lanes."""
        data = b"".join((buffer, self._pad))
        return self._reading(*self._judged(None, data, start, end, np.arange(len(start))))

    def _judged(
        self, cells: list[Cells] | None, data: bytes, start: IntArray, end: IntArray, rows: IntArray
    ) -> tuple[list[Cells], bytes, int, list[RowFault]]:
        """The cells with ``rows`` as the record reader reads them, and what it refuses; no cells: all are read so."""
        faults: list[RowFault] = []
        good: list[int] = []
        read: list[list[Any]] = []
        for row, first, last in zip(rows.tolist(), start[rows].tolist(), end[rows].tolist(), strict=True):
            try:
                read.append(self._records.read(data[first:last]))
                good.append(row)
            except Refused as refused:
                faults.append(RowFault(row, refused.fault, refused.field, refused.trailing_bytes))
        columns: list[Any] = list(zip(*read, strict=True)) or [[] for _ in self.program.slots]
        places = np.array(good, np.int64)
        bases = start[places].tolist()
        parts = [cells_of(slot, columns[slot.index], bases) for slot in self._read_slots]
        if len(good) < len(start):
            cells = cells or [blank_cells(slot, len(start)) for slot in self._read_slots]
            parts = [
                self._merged(slot, whole, part, rows, places)
                for slot, whole, part in zip(self._read_slots, cells, parts, strict=True)
            ]
        return parts, data, len(start), faults

    @staticmethod
    def _merged(slot: Slot, whole: Cells, part: Cells, rows: IntArray, good: IntArray) -> Cells:
        """``whole`` with ``part`` in its ``good`` rows and nothing in the others of ``rows``."""
        merged = own(whole)
        patch(slot, merged, rows, blank_cells(slot, len(rows)))
        patch(slot, merged, good, part)
        return merged

    def _reading(self, cells: list[Cells], data: bytes, count: int, faults: list[RowFault]) -> Reading:
        found = {slot.index: finished(slot, column, data) for slot, column in zip(self._read_slots, cells, strict=True)}
        columns = {
            slot.name: found[slot.index]
            if slot.index in found
            else constant_column(slot, self.program.constants[slot.index], count)
            for slot in self.program.slots
        }
        fault = np.zeros(count, np.uint8)
        for refused in faults:
            fault[refused.row] = refused.fault
        return Reading(columns, fault, tuple(faults))


def _root(schema: WriterSchema | RecordSchema) -> Record:
    return schema.root if isinstance(schema, WriterSchema) else record_of(schema.text)
