"""Writes n byte rows at once, field by field: the opposite of reading in lockstep.

Every row has a slot of fixed width in one buffer, and a cursor. A field is written for all rows in words of 8 bytes,
which may spill over its end: the next field overwrites that, and a slot has room for the last one's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from worker.records import FloatArray, IntArray, Slices

WORD = 8
LONGEST_VARINT = 10
LONG_TEXT = 4_096  # a longer one is copied by itself, not in rounds that all rows take part in
_Words = npt.NDArray[np.uint64]


class ByteRows:
    """n growing rows of at most ``width`` bytes each."""

    def __init__(self, rows: int, width: int) -> None:
        slot = width + 2 * WORD  # the spill of a word, twice for a long varint
        self._buffer = np.zeros(rows * slot + WORD, np.uint8)
        self._words = _words_of(self._buffer)
        self._start = np.arange(rows, dtype=np.int64) * slot
        self._at = self._start.copy()

    def slices(self) -> Slices:
        """The rows written so far; the buffer is not copied."""
        return Slices(self._buffer.data, self._start, self._at)

    def constant(self, content: bytes) -> None:
        """The same bytes for all."""
        for k, word in enumerate(_padded(content)):
            self._words[self._at + k * WORD] = word
        self._at += len(content)

    def choice(self, contents: Sequence[bytes], index: IntArray) -> None:
        """Row i gets ``contents[index[i]]``."""
        table = np.zeros((len(contents), -(-max(map(len, contents)) // WORD)), np.uint64)
        for i, content in enumerate(contents):
            words = _padded(content)
            table[i, : len(words)] = words
        for k in range(table.shape[1]):
            self._words[self._at + k * WORD] = table[index, k]
        self._at += np.array([len(content) for content in contents], np.int64)[index]

    def double(self, values: FloatArray) -> None:
        self._words[self._at] = np.ascontiguousarray(values).view(np.uint64)
        self._at += WORD

    def long(self, values: IntArray) -> None:
        """Zigzag varints."""
        rest = ((values << 1) ^ (values >> 63)).view(np.uint64)
        self._varint(rest)

    def text(self, texts: Slices) -> None:
        """Length and bytes of each, none of them null; ``texts.buffer`` has 8 bytes to spare after the last."""
        length = texts.end - texts.start
        self.long(length)
        data = np.frombuffer(texts.buffer, np.uint8)
        source = _words_of(data)
        for row in np.flatnonzero(length > LONG_TEXT).tolist():
            at, begin, end = int(self._at[row]), int(texts.start[row]), int(texts.end[row])
            self._buffer[at : at + end - begin] = data[begin:end]
        by_words = np.where(length > LONG_TEXT, 0, length)
        for k in range(0, int(by_words.max(initial=0)), WORD):
            longer = by_words > k
            if longer.all():
                self._words[self._at + k] = source[texts.start + k]
            else:
                self._words[self._at[longer] + k] = source[texts.start[longer] + k]
        self._at += length

    def _varint(self, values: _Words) -> None:
        count = np.ones(len(values), np.int64)
        for k in range(1, LONGEST_VARINT):
            more = values >= np.uint64(1 << (7 * k))
            if not more.any():
                break
            count += more
        longest = int(count.max(initial=1))
        for first in range(0, longest, WORD):
            word = np.zeros(len(values), np.uint64)
            for k in range(first, min(first + WORD, longest)):
                group = (values >> np.uint64(7 * k)) & np.uint64(0x7F)
                group |= (count > k + 1).astype(np.uint64) << np.uint64(7)
                word |= group << np.uint64(8 * (k - first))
            self._words[self._at + first] = word
        self._at += count


def padded(slices: Slices) -> Slices:
    """The same, with room behind the last byte for a word to be read; the buffer is copied only for want of that."""
    if len(slices.buffer) >= int(slices.end.max(initial=0)) + WORD:
        return slices
    return Slices(bytes(slices.buffer) + bytes(WORD), slices.start, slices.end)


def _padded(content: bytes) -> _Words:
    return np.frombuffer(content + bytes(-len(content) % WORD), np.uint64)


def _words_of(buffer: npt.NDArray[np.uint8]) -> _Words:
    """A view that reads and writes 8 bytes at any byte position."""
    return np.ndarray((max(0, len(buffer) - WORD + 1),), np.dtype("<u8"), buffer=buffer.data, strides=(1,))
