"""A few records' values to columns: many slots in one array, since each array costs more than what stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from worker.avro.cells import ReadColumn, cells_of, finished, numbers
from worker.avro.slots import Form, Slot
from worker.columns import NumberColumn
from worker.columns.text import TextColumn


class FewRecords:
    """The columns of one program's slots, the same as from ``cells_of`` and ``finished`` slot by slot."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._numbers: dict[Any, list[Slot]] = {}
        self._texts = [slot for slot in slots if slot.form is Form.TEXT]
        self._others = [slot for slot in slots if slot.form not in (Form.TEXT, Form.NUMBER)]
        for slot in slots:
            if slot.form is Form.NUMBER:
                self._numbers.setdefault(slot.dtype, []).append(slot)

    def columns(self, rows: Sequence[Sequence[Any]], bases: Sequence[int], data: bytes) -> dict[int, ReadColumn]:
        """By slot, of at least one row.

        ``rows``: what the record reader gives of each record, which begins at its base; ``data`` is padded.
        """
        values = list(zip(*rows, strict=True))
        columns: dict[int, ReadColumn] = {}
        for dtype, slots in self._numbers.items():
            items = [0 if item is None else item for slot in slots for item in values[slot.index]]
            for slot, block in zip(slots, numbers(items, dtype, len(items)).reshape(len(slots), -1), strict=True):
                column = values[slot.index]
                null = np.array([item is None for item in column]) if slot.nullable and None in column else None
                columns[slot.index] = NumberColumn(block, null)
        whole = [slot for slot in self._texts if not slot.nullable or None not in values[slot.index]]
        if whole:
            places = np.array([values[slot.index] for slot in whole], np.int64)
            places += np.array(bases, np.int64)[:, None]
            starts, ends = np.ascontiguousarray(places.transpose(2, 0, 1))
            for slot, start, end in zip(whole, starts, ends, strict=True):
                columns[slot.index] = TextColumn(data, start, end, None, not slot.is_string)
        for slot in (*self._others, *self._texts):
            if slot.index not in columns:
                columns[slot.index] = finished(slot, cells_of(slot, values[slot.index], bases), data)
        return columns
