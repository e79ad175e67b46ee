"""Arrays by the names of their items, and byte strings in one buffer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from worker.records.value import value_class

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@value_class
class Slices:
    """n byte strings in one buffer; ``start[i] == -1`` stands for null.

    ``start`` and ``end`` are int64 arrays of length n, in bytes.
    """

    buffer: bytes | bytearray | memoryview
    start: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: int) -> bytes | None:
        start = int(self.start[index])
        return None if start < 0 else bytes(self.buffer[start : int(self.end[index])])

    @property
    def size_bytes(self) -> int:
        """Of the strings themselves, whatever else the buffer holds."""
        if len(self) == 1:
            return int(self.end[0] - self.start[0]) if self.start[0] >= 0 else 0
        return int((self.end - self.start).sum(where=self.start >= 0))

    def to_list(self) -> list[bytes | None]:
        """All as ``bytes`` objects, for an edge that needs them."""
        buffer = self.buffer if isinstance(self.buffer, bytes) else bytes(self.buffer)
        return [
            None if start < 0 else buffer[start:end]
            for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)
        ]

    def equal_to(self, text: bytes) -> BoolArray:
        """Which are exactly these bytes, bool of length n; null is nothing."""
        return self.start_with(text, len(text))

    def start_with(self, text: bytes, width: int, *, or_more: bool = False) -> BoolArray:
        """Which are ``width`` bytes long (at least that, if ``or_more``) and begin with ``text``, bool of length n."""
        length = self.end - self.start
        found: BoolArray = (self.start >= 0) & (length >= width if or_more else length == width)
        rows = np.flatnonzero(found)
        octets = self.take(rows).octets(len(text))
        found[rows] = (octets == np.frombuffer(text, np.uint8)).all(axis=1)
        return found

    def octets(self, width: int) -> npt.NDArray[np.uint8]:
        """The first ``width`` bytes of each, (n, width); none is null, and each has as many."""
        if not width or not len(self):
            return np.empty((len(self), width), np.uint8)
        windows = np.ndarray((len(self.buffer) - width + 1,), f"V{width}", self.buffer, strides=(1,))
        return windows[self.start].view(np.uint8).reshape(-1, width)

    def take(self, indices: IntArray) -> Slices:
        return Slices(self.buffer, self.start[indices], self.end[indices])

    @staticmethod
    def joined(parts: Sequence[Slices]) -> Slices:
        """One after another, in one buffer."""
        shifts = np.cumsum([0, *(len(part.buffer) for part in parts[:-1])]).tolist()
        start = [np.where(part.start < 0, -1, part.start + shift) for part, shift in zip(parts, shifts, strict=True)]
        end = [part.end + shift for part, shift in zip(parts, shifts, strict=True)]
        return Slices(b"".join(part.buffer for part in parts), np.concatenate(start), np.concatenate(end))

    @staticmethod
    def of(items: Sequence[bytes | None]) -> Slices:
        if len(items) == 1 and (only := items[0]) is not None:
            return Slices(only, np.zeros(1, np.int64), np.array([len(only)], np.int64))
        lengths = np.fromiter((0 if item is None else len(item) for item in items), np.int64, len(items))
        end = np.cumsum(lengths, dtype=np.int64)
        start = end - lengths
        if None in items:
            start[[i for i, item in enumerate(items) if item is None]] = -1
        return Slices(b"".join(item for item in items if item is not None), start, end)


def ranges(first: IntArray, count: IntArray) -> IntArray:
    """The numbers from ``first[i]`` on, ``count[i]`` of them, of each i after the other."""
    return np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
