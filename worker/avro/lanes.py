"""All records of a batch abreast: one cursor each, and one number read for every one of them at a time.

1. A lane whose bytes are not plainly good is *doubted*, and read on as nonsense: the record reader judges it afterwards.
   So nothing here may let a lane pass that the record reader would refuse; the reverse costs time only.
2. Cursors never go back. A lane that has passed the end of its record can't meet it again, so the end is compared once,
   at the end. Where a length in the data moves a cursor, it is stopped at ``stop``, one past the record's end.
3. Between two such stops a cursor moves by a bounded number of bytes; the buffer is padded by as many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from worker.records import BoolArray, IntArray

Octets = npt.NDArray[np.uint8]
_U64 = np.uint64


def _spread(byte: int) -> np.uint64:
    return _U64(byte * 0x0101010101010101)


_TOP, _LOW, _ONES = _spread(0x80), _spread(0x7F), _spread(0x01)
_PAIRS = (_U64(0x7F007F007F007F00), _U64(0x007F007F007F007F))
_FOURS = (_U64(0x3FFF00003FFF0000), _U64(0x00003FFF00003FFF))
_EIGHTS = (_U64(0x0FFFFFFF00000000), _U64(0x000000000FFFFFFF))
_ZIGZAG = np.array([(i >> 1) ^ -(i & 1) for i in range(256)], np.int64)
_ZIGZAG_32 = _ZIGZAG.astype(np.int32)


class Views:
    """One padded buffer, seen as items of several types that begin at any byte."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.octets = np.frombuffer(data, np.uint8)
        self.words = self.of("<u8", 8)
        self.doubles = self.of("<f8", 8)
        self.floats = self.of("<f4", 4)

    def of(self, dtype: str, width: int) -> npt.NDArray[Any]:
        """``view[i]`` is the item that begins at byte i."""
        return np.ndarray((max(0, len(self.data) - width + 1),), dtype, self.data, strides=(1,))


class Lanes:
    """n records: ``cursor``, ``stop`` (int64) and ``doubt`` (uint8, 0 is good), each of shape (n,).

    ``cursor`` is replaced, never changed in place: columns keep former cursors as starts and ends of texts.
    """

    __slots__ = ("cursor", "doubt", "stop", "views")

    def __init__(self, views: Views, cursor: IntArray, stop: IntArray) -> None:
        self.views = views
        self.cursor = cursor
        self.stop = stop
        self.doubt: Octets = np.zeros(len(cursor), np.uint8)

    def __len__(self) -> int:
        return len(self.cursor)

    def subset(self, rows: IntArray) -> Lanes:
        return Lanes(self.views, self.cursor[rows], self.stop[rows])

    def absorb(self, rows: IntArray, part: Lanes) -> None:
        """Take over where the lanes of a subset have come to."""
        cursor = self.cursor.copy()
        cursor[rows] = part.cursor
        self.cursor = cursor
        self.doubt[rows] |= part.doubt

    def suspect(self, wrong: BoolArray) -> None:
        self.doubt |= wrong.view(np.uint8)

    def octet(self) -> Octets:
        """The byte under each cursor; the cursor stays."""
        return self.views.octets.take(self.cursor)

    def clamp(self) -> None:
        self.cursor = np.minimum(self.cursor, self.stop)

    def long(self) -> IntArray:
        """A zig-zag number each, as int64."""
        first = self.octet()
        if first.max() < 0x80:
            self.cursor = self.cursor + 1
            return _ZIGZAG.take(first)
        return self._wide()

    def integer(self) -> npt.NDArray[np.int32]:
        """A zig-zag number each, as int32; lanes with a greater one are doubted."""
        first = self.octet()
        if first.max() < 0x80:
            self.cursor = self.cursor + 1
            return _ZIGZAG_32.take(first)
        wide = self._wide()
        narrow = wide.astype(np.int32)
        self.suspect(narrow != wide)
        return narrow

    def _wide(self) -> IntArray:
        """Numbers of any length: the 7-bit groups of up to eight bytes are pushed together within a 64-bit word."""
        word = self.views.words[self.cursor]
        last = ~word & _TOP
        within = last ^ (last - _U64(1))
        # ``within`` covers the bytes up to and with the number's last; all eight when there is no last among them.
        group = word & within & _LOW
        group = ((group & _PAIRS[0]) >> _U64(1)) | (group & _PAIRS[1])
        group = ((group & _FOURS[0]) >> _U64(2)) | (group & _FOURS[1])
        group = ((group & _EIGHTS[0]) >> _U64(4)) | (group & _EIGHTS[1])
        width = (((within & _ONES) * _ONES) >> _U64(56)).view(np.int64)
        longer = np.flatnonzero(last == 0)
        if len(longer):
            self._longer(longer, group, width)
        self.cursor = self.cursor + width
        number = (group >> _U64(1)) ^ (_U64(0) - (group & _U64(1)))
        return number.view(np.int64)

    def _longer(self, rows: IntArray, group: npt.NDArray[np.uint64], width: IntArray) -> None:
        """The ninth and tenth bytes of numbers that have them."""
        at = self.cursor[rows]
        ninth, tenth = self.views.octets[at + 8], self.views.octets[at + 9]
        goes_on = ninth >= 0x80
        tenth = np.where(goes_on, tenth, 0).astype(np.uint8)
        group[rows] |= ((ninth & 0x7F).astype(np.uint64) << _U64(56)) | (tenth.astype(np.uint64) << _U64(63))
        width[rows] = 9 + goes_on
        self.doubt[rows] |= tenth > 1

    def text(self) -> tuple[IntArray, IntArray, npt.NDArray[Any], int]:
        """Where a length-prefixed text of each starts and ends, the lengths, and a bound of them."""
        first = self.octet()
        longest = int(first.max())
        lengths: npt.NDArray[Any]
        if longest < 0x80:
            self.doubt |= first & 1
            lengths, longest = first >> 1, longest >> 1
            start = self.cursor + 1
        else:
            lengths = self._wide()
            start = self.cursor
            room = self.stop - start
            self.suspect((lengths < 0) | (lengths > room))
            lengths = np.clip(lengths, 0, np.maximum(room, 0))
            longest = int(lengths.max())
        end = self.cursor = np.minimum(start + lengths, self.stop)
        return start, end, lengths, longest
