"""Operations on lanes for what has no length of its own: null, booleans, integers, enums, floats and doubles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.cells import Cells, Out, blank_cells
from worker.avro.lanes import Lanes
from worker.avro.nodes import Primitive
from worker.avro.resolution import Read
from worker.avro.slots import Slot

_WIDTHS = {"float": 4, "double": 8}


def float_width(step: Read) -> int:
    return _WIDTHS.get(step.wire.kind, 0) if isinstance(step.wire, Primitive) else 0


def cast(values: npt.NDArray[Any], slot: Slot) -> npt.NDArray[Any]:
    """To the slot's type; integers go through float64 to float32, as the record reader's Python numbers do."""
    if slot.dtype is np.float32 and values.dtype.kind == "i":
        values = values.astype(np.float64)
    return values.astype(slot.dtype, copy=False)


class Doubted:
    def run(self, lanes: Lanes, out: Out) -> None:
        del out
        lanes.doubt |= 1


class Null:
    def __init__(self, slot: Slot | None) -> None:
        self._slot = slot

    def run(self, lanes: Lanes, out: Out) -> None:
        if self._slot is not None:
            cells = blank_cells(self._slot, len(lanes))
            cells.null = np.ones(len(lanes), np.bool_)
            out[self._slot.index] = cells


class Booleans:
    def __init__(self, slot: Slot | None) -> None:
        self._slot = slot

    def run(self, lanes: Lanes, out: Out) -> None:
        octet = lanes.octet()
        lanes.doubt |= octet & 0xFE
        lanes.cursor = lanes.cursor + 1
        if self._slot is not None:
            out[self._slot.index] = Cells((octet & 1).view(np.bool_))


class Integers:
    def __init__(self, slot: Slot | None, *, narrow: bool) -> None:
        self._slot, self._narrow = slot, narrow

    def run(self, lanes: Lanes, out: Out) -> None:
        slot = self._slot
        values: npt.NDArray[Any] = lanes.integer() if self._narrow else lanes.long()
        if slot is None:
            return
        if slot.check is not None and (outside := slot.check.outside(values)) is not None:
            lanes.suspect(outside)
        out[slot.index] = Cells(cast(values, slot))


class Symbols:
    """An enum's index, by table to the reader's index; 1 in the second table is a reason for doubt."""

    def __init__(self, count: int, symbols: tuple[int, ...], slot: Slot | None) -> None:
        self._slot, self._count = slot, count
        self._symbols = np.array(symbols or range(count), np.int64)

    def run(self, lanes: Lanes, out: Out) -> None:
        written = lanes.long()
        lanes.suspect((written < 0) | (written >= self._count))
        if self._slot is not None:
            symbols = self._symbols.take(written, mode="clip")
            lanes.suspect(symbols < 0)
            out[self._slot.index] = Cells(np.maximum(symbols, 0))


class Run:
    """Neighbouring floats and doubles, gathered as one block."""

    def __init__(self, steps: Sequence[Read]) -> None:
        widths = [float_width(step) for step in steps]
        self._bytes = sum(widths)
        places = [sum(widths[:i]) for i in range(len(widths))]
        self._wanted = [
            (step.slot, place, width)
            for step, place, width in zip(steps, places, widths, strict=True)
            if step.slot is not None
        ]
        self._even = len(self._wanted) == len(steps) > 1 and set(widths) == {8}

    def run(self, lanes: Lanes, out: Out) -> None:
        if len(self._wanted) == 1:
            slot, place, width = self._wanted[0]
            view = lanes.views.doubles if width == 8 else lanes.views.floats
            out[slot.index] = Cells(cast(view[lanes.cursor + place if place else lanes.cursor], slot))
        elif self._wanted:
            block = lanes.views.of(f"V{self._bytes}", self._bytes)[lanes.cursor]
            if self._even:
                columns = block.view("<f8").reshape(len(lanes), -1).T.copy()
                for (slot, _, _), values in zip(self._wanted, columns, strict=True):
                    out[slot.index] = Cells(cast(values, slot))
            else:
                octets = block.view(np.uint8).reshape(len(lanes), -1)
                for slot, place, width in self._wanted:
                    values = octets[:, place : place + width].copy().view(f"<f{width}")[:, 0]
                    out[slot.index] = Cells(cast(values, slot))
        lanes.cursor = lanes.cursor + self._bytes


class NullableFloats:
    """Neighbouring unions of ``null`` and a float or double, in either order: the branches first, then all values at once.

    All of them have the same ``width`` and order.
    """

    def __init__(self, slots: Sequence[Slot], width: int, null_branch: int) -> None:
        self._slots, self._width = slots, width
        self._present = np.uint8(2 * (1 - null_branch))
        self._moves = np.ones(256, np.int64)
        self._moves[self._present] += width

    def run(self, lanes: Lanes, out: Out) -> None:
        shape = len(self._slots), len(lanes)
        branches, places = np.empty(shape, np.uint8), np.empty(shape, np.int64)
        cursor = lanes.cursor
        for branch, place in zip(branches, places, strict=True):
            lanes.views.octets.take(cursor, out=branch, mode="clip")
            np.add(cursor, 1, out=place)
            cursor = cursor + self._moves.take(branch)
        lanes.cursor = cursor
        lanes.doubt |= np.bitwise_or.reduce(branches, axis=0) & 0xFD
        values = (lanes.views.doubles if self._width == 8 else lanes.views.floats)[places]
        null = branches != self._present
        some = null.any(axis=1).tolist()
        if any(some):
            np.copyto(values, 0, where=null)
        for i, slot in enumerate(self._slots):
            out[slot.index] = Cells(cast(values[i], slot), null=null[i] if some[i] else None)
