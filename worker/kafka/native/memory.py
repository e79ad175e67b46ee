"""Arrays over the process's own memory: what librdkafka has written, read without an object a record."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from worker.records import IntArray

Words = npt.NDArray[np.uint64]
WORD_BYTES: Final = 8
# Between records that were fetched together lie a few bytes of their frames. Memory comes in pages of at least 4 KiB, so
# what is between two readable bytes that are closer than that is readable, too.
NEAR_BYTES: Final = 256


class _At:
    """Words from an address on, as numpy asks for them."""

    def __init__(self, address: int, words: int) -> None:
        self.__array_interface__ = {"version": 3, "typestr": "<u8", "shape": (words,), "data": (address, True)}


def words_at(addresses: Words, count: int) -> Words:
    """The first ``count`` words at each address, shape (count, n); addresses are multiples of 8, at least one."""
    first, last = int(addresses.min()), int(addresses.max())
    memory: Words = np.asarray(_At(first, (last - first) // WORD_BYTES + count))
    index = (addresses - np.uint64(first)) >> np.uint64(3)
    words: Words = memory[index.astype(np.int64) + np.arange(count)[:, None]]
    return words


@dataclass(frozen=True, slots=True)
class Gathered:
    """Scattered bytes in one buffer; ``shift`` (int64, shape (n,)) added to an address gives the place in it."""

    buffer: bytes
    shift: IntArray


def gathered(begin: Words, end: Words) -> Gathered:
    """Copy the bytes from ``begin[i]`` to ``end[i]``, neighbours in memory together; of what is empty nothing is copied.

    Raises nothing, but reads what it is told to: the addresses must be those of live objects.
    """
    some = np.flatnonzero(end > begin)
    shift = -begin.view(np.int64)
    if not len(some):
        return Gathered(b"", shift)
    first, last = begin[some], end[some]
    apart = (first[1:] < last[:-1]) | (first[1:] - last[:-1] > NEAR_BYTES)
    starts = np.concatenate(([0], np.flatnonzero(apart) + 1))
    run_begin = first[starts]
    run_end = last[np.concatenate((starts[1:] - 1, [len(some) - 1]))]
    sizes = (run_end - run_begin).astype(np.int64)
    pieces = [ctypes.string_at(a, n) for a, n in zip(run_begin.tolist(), sizes.tolist(), strict=True)]
    at = np.cumsum(sizes) - sizes - run_begin.view(np.int64)
    shift[some] = np.repeat(at, np.diff(np.concatenate((starts, [len(some)]))))
    return Gathered(pieces[0] if len(pieces) == 1 else b"".join(pieces), shift)


def address_of(buffer: bytes | bytearray | memoryview) -> tuple[int, npt.NDArray[Any]]:
    """Where a buffer's bytes are, for as long as the array lives; never null, not even for an empty buffer."""
    data = np.frombuffer(buffer, np.uint8) if len(buffer) else np.zeros(1, np.uint8)
    return int(data.ctypes.data), data
