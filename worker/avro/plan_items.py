"""Operations on lanes for arrays and maps: skipped, or read as vectors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from worker.avro.cells import Cells, Out
from worker.avro.lanes import Lanes
from worker.avro.plan_numbers import cast
from worker.avro.slots import Slot
from worker.columns.text import invalid_utf8

_SIZES = {"float": 4, "double": 8}
MOST_ROUNDS = 32
FEWEST_LANES = 8
"""Items of one array that are skipped abreast, and the lanes for which a round pays; the record reader takes the rest."""
ENOUGH_LANES = 64
"""From here on a round of integers pays however many follow: the record reader takes long arrays quickly, too."""


class _Operation(Protocol):
    def run(self, lanes: Lanes, out: Out) -> None: ...


class SkipItems:
    """Arrays and maps of any length, one item of every lane a round."""

    def __init__(self, item: _Operation, *, is_map: bool) -> None:
        self._item, self._is_map = item, is_map

    def run(self, lanes: Lanes, out: Out) -> None:
        left = self._counts(lanes)
        for _ in range(MOST_ROUNDS):
            rows = np.flatnonzero(left)
            if len(rows) < FEWEST_LANES:
                break
            part = lanes.subset(rows)
            if self._is_map:
                start, end, _, _ = part.text()
                part.doubt[invalid_utf8(part.views.data, start, end)[1]] = 1
            self._item.run(part, list(out))
            part.clamp()
            remaining = left[rows] - 1
            ended = np.flatnonzero(remaining == 0)
            if len(ended):
                block = part.subset(ended)
                remaining[ended] = self._counts(block)
                part.absorb(ended, block)
            remaining[part.doubt != 0] = 0
            lanes.absorb(rows, part)
            left[rows] = remaining
        lanes.suspect(left != 0)

    @staticmethod
    def _counts(lanes: Lanes) -> npt.NDArray[np.int64]:
        """How many items the next block has, 0 at the end; blocks that state their size are doubted."""
        counts = lanes.long()
        lanes.clamp()
        wrong = (counts < 0) | (counts > lanes.stop - lanes.cursor)
        lanes.suspect(wrong)
        return np.where(wrong, 0, counts)


class FloatVectors:
    """Arrays of floats or doubles in one block, of any length."""

    def __init__(self, slot: Slot, kind: str) -> None:
        self._slot, self._size = slot, _SIZES[kind]

    def run(self, lanes: Lanes, out: Out) -> None:
        counts, size = lanes.long(), self._size
        lanes.clamp()
        # Each lane has room for its items, so all of them are no more than the data.
        wrong = (counts < 0) | (counts > (lanes.stop - lanes.cursor) // size)
        lanes.suspect(wrong)
        counts = np.where(wrong, 0, counts)
        ends = np.cumsum(counts)
        view = lanes.views.floats if size == 4 else lanes.views.doubles
        out[self._slot.index] = Cells(
            ends - counts, ends, pool=view[self._places(lanes, counts)].reshape(-1).astype(self._slot.dtype, copy=False)
        )
        lanes.cursor = lanes.cursor + counts * size
        lanes.doubt |= np.where(counts, lanes.octet(), 0)
        lanes.cursor = lanes.cursor + (counts != 0)

    def _places(self, lanes: Lanes, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where each item begins."""
        size = self._size
        if (counts == counts[0]).all():
            places: npt.NDArray[np.int64] = lanes.cursor[:, None] + size * np.arange(counts[0])
            return places
        before = np.cumsum(counts) - counts
        return np.repeat(lanes.cursor - size * before, counts) + size * np.arange(int(counts.sum()))


class IntegerVectors:
    """Arrays of integers in one block and of one length, the median; lanes with another are doubted."""

    def __init__(self, slot: Slot, kind: str) -> None:
        self._slot, self._kind = slot, kind

    def run(self, lanes: Lanes, out: Out) -> None:
        count = len(lanes)
        counts = lanes.long()
        width = int(np.partition(counts, count // 2)[count // 2])
        lanes.suspect(counts != width)
        lanes.clamp()
        if not self._pays(lanes, width):
            lanes.doubt |= 1
            width = 0
        items = np.zeros((count, width), self._slot.dtype)
        for i in range(width):
            items[:, i] = cast(lanes.integer() if self._kind == "int" else lanes.long(), self._slot)
            lanes.clamp()
        if width:
            lanes.doubt |= lanes.octet()
            lanes.cursor = lanes.cursor + 1
        ends = np.arange(1, count + 1, dtype=np.int64) * width
        out[self._slot.index] = Cells(ends - width, ends, pool=items.reshape(-1))

    @staticmethod
    def _pays(lanes: Lanes, width: int) -> bool:
        """Whether half the lanes have room for so many items: no other bound keeps the memory near the data's size."""
        if width > MOST_ROUNDS and len(lanes) < ENOUGH_LANES:
            return False
        room = lanes.stop - lanes.cursor
        return 0 <= width <= int(room.max()) and 2 * int(np.count_nonzero(room > width)) >= len(lanes)
