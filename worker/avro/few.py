"""A few records' values as they were read: no array is made before somebody asks for one.

Each array costs more than what stands in it, and what few records are checked and predicted by is their values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from worker.avro.cells import ReadColumn, cells_of, finished, numbers
from worker.avro.nodes import Primitive
from worker.avro.resolution import Choice, Inline, Program, Read, Step
from worker.avro.slots import Form, Slot
from worker.columns import NumberColumn
from worker.columns.text import TextColumn

Rows = Sequence[Sequence[Any]]
"""What the record reader gives of each record, by slot."""


class FewRecords:
    """The slots that one program reads, of few records."""

    def __init__(self, program: Program) -> None:
        self._slots = [slot for slot in program.slots if slot.index not in program.constants]
        converted = set(_converted([program.root]))
        # Numbers that are read as the column holds them: a long that becomes a float is rounded on the way.
        self._plain = [
            (slot.name, slot.index)
            for slot in self._slots
            if slot.form in (Form.NUMBER, Form.DECIMAL) and slot.index not in converted
        ]
        self._texts = [slot for slot in self._slots if slot.form is Form.TEXT]
        self._by_type: dict[Any, list[Slot]] = {}
        for slot in self._slots:
            if slot.form is Form.NUMBER:
                self._by_type.setdefault(slot.dtype, []).append(slot)
        self._enums = [
            (slot.name, slot.index, [symbol.encode() for symbol in slot.symbols])
            for slot in self._slots
            if slot.form is Form.ENUM
        ]

    def values(self, rows: Rows, bases: Sequence[int], data: bytes) -> dict[str, Sequence[Any]]:
        """As ``Columns.few``. Each record begins at its base in ``data``, and texts are places relative to that."""
        by_slot = list(zip(*rows, strict=True))
        found: dict[str, Sequence[Any]] = {name: by_slot[index] for name, index in self._plain}
        for slot in self._texts:
            places = zip(by_slot[slot.index], bases, strict=True)
            found[slot.name] = [
                None if place is None else data[base + place[0] : base + place[1]] for place, base in places
            ]
        for name, index, symbols in self._enums:
            found[name] = [None if symbol is None else symbols[symbol] for symbol in by_slot[index]]
        return found

    def columns(self, rows: Rows, bases: Sequence[int], data: bytes) -> dict[int, ReadColumn]:
        """By slot, of at least one row, the same as from ``cells_of`` and ``finished`` slot by slot; ``data`` is padded."""
        by_slot = list(zip(*rows, strict=True))
        columns: dict[int, ReadColumn] = {}
        for dtype, slots in self._by_type.items():
            items = [0 if item is None else item for slot in slots for item in by_slot[slot.index]]
            for slot, block in zip(slots, numbers(items, dtype, len(items)).reshape(len(slots), -1), strict=True):
                column = by_slot[slot.index]
                null = np.array([item is None for item in column]) if slot.nullable and None in column else None
                columns[slot.index] = NumberColumn(block, null)
        whole = [slot for slot in self._texts if not slot.nullable or None not in by_slot[slot.index]]
        if whole:
            places = np.array([by_slot[slot.index] for slot in whole], np.int64)
            places += np.array(bases, np.int64)[:, None]
            starts, ends = np.ascontiguousarray(places.transpose(2, 0, 1))
            for slot, start, end in zip(whole, starts, ends, strict=True):
                columns[slot.index] = TextColumn(data, start, end, None, not slot.is_string)
        for slot in self._slots:
            if slot.index not in columns:
                columns[slot.index] = finished(slot, cells_of(slot, by_slot[slot.index], bases), data)
        return columns


class LateColumns(Mapping[str, ReadColumn]):
    """Columns that are made, all of them, once the first is asked for."""

    def __init__(self, make: Callable[[], Mapping[str, ReadColumn]]) -> None:
        self._make = make
        self._made: Mapping[str, ReadColumn] | None = None

    def __getitem__(self, name: str) -> ReadColumn:
        return self._columns()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns())

    def __len__(self) -> int:
        return len(self._columns())

    def _columns(self) -> Mapping[str, ReadColumn]:
        if self._made is None:
            self._made = self._make()
        return self._made


def _converted(steps: Iterable[Step]) -> Iterator[int]:
    """The slots that a number of another type may be read into."""
    for step in steps:
        match step:
            case Inline(steps=inner) | Choice(branches=inner):
                yield from _converted(inner)
            case Read(slot=Slot(type=Primitive(kind=own)) as slot, wire=Primitive(kind=written)) if written != own:
                yield slot.index
