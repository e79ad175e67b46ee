"""Operations on lanes for what has a length: strings, bytes, fixed, and the decimals in them."""

from __future__ import annotations

import numpy as np

from worker.avro.cells import Cells, Out
from worker.avro.lanes import Lanes
from worker.avro.slots import Slot
from worker.columns.text import PAD_BYTES, all_ascii, invalid_utf8
from worker.records import IntArray

_EXACT_POWERS = 22
"""10**22 is the largest power of ten that a float64 holds; a quotient of two exact numbers is rounded once."""


class Texts:
    """Strings and bytes, or ``size`` bytes of a fixed, as places in the buffer."""

    def __init__(self, slot: Slot | None, size: int | None, *, must_be_utf8: bool) -> None:
        self._slot, self._size, self._must_be_utf8 = slot, size, must_be_utf8

    def run(self, lanes: Lanes, out: Out) -> None:
        is_ascii = False
        if self._size is None:
            start, end, lengths, longest = lanes.text()
            if self._must_be_utf8:
                is_ascii = longest <= PAD_BYTES and all_ascii(lanes.views.data, start, lengths, longest)
                if not is_ascii:
                    is_ascii, wrong = invalid_utf8(lanes.views.data, start, end)
                    lanes.doubt[wrong] = 1
        else:
            start = lanes.cursor
            end = lanes.cursor = np.minimum(start + self._size, lanes.stop)
        if self._slot is not None:
            self._check(lanes, start, end)
            out[self._slot.index] = Cells(start, end, is_ascii=is_ascii)

    def _check(self, lanes: Lanes, start: IntArray, end: IntArray) -> None:
        assert self._slot is not None
        if (check := self._slot.check) is None or check.low is not None:
            return
        places = zip(start.tolist(), end.tolist(), strict=True)
        data = lanes.views.data
        lanes.suspect(np.fromiter((not check.text_fits(data[s:e]) for s, e in places), np.bool_, len(start)))


class Decimals:
    """Decimals of up to eight bytes whose digits a float64 holds exactly; the others are doubted."""

    def __init__(self, slot: Slot, size: int | None) -> None:
        assert slot.logical is not None
        self._slot, self._size = slot, size
        self._scale = slot.logical.scale
        self._limit = min(10**slot.logical.precision - 1, 2**53)

    def run(self, lanes: Lanes, out: Out) -> None:
        if self._size is None:
            start, end, _, _ = lanes.text()
        else:
            start = lanes.cursor
            end = lanes.cursor = np.minimum(start + self._size, lanes.stop)
        lengths = end - start
        lanes.suspect((lengths < 1) | (lengths > 8))
        word = lanes.views.words[start].byteswap().view(np.int64)
        unscaled = word >> (64 - 8 * np.clip(lengths, 1, 8))
        lanes.suspect((unscaled > self._limit) | (unscaled < -self._limit))
        if self._scale > _EXACT_POWERS:
            lanes.doubt |= 1
        out[self._slot.index] = Cells(unscaled / 10.0 ** min(self._scale, _EXACT_POWERS))
