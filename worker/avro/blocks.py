"""Whole blocks of numbers for the record reader, which otherwise takes an array item by item.

A block is read at once where it is plain; where it is not, the reader goes through it and says what is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np

from worker.avro.nodes import Primitive
from worker.avro.resolution import Read, Step

FEWEST_ITEMS = 100
"""Of a shorter block of integers the items are taken one by one: that is quicker."""
_MOST_BYTES = 9
"""Of a number that can't exceed 64 bits."""
_MOST_ABREAST = 65_536
"""Integers that are read at once: what that takes beside them stays small."""

# ``count`` numbers of a body from a position on, and the position behind them; None: not plain.
Block = Callable[[bytes, int, int], tuple[Sequence[float], int] | None]


def block_of(item: Step) -> Block | None:
    """How to read blocks of such items at once; None: there is no way."""
    kind = item.wire.kind if isinstance(item, Read) and isinstance(item.wire, Primitive) else ""
    match kind:
        case "float":
            return _floats("f", 4)
        case "double":
            return _floats("d", 8)
        case "int":
            return _integers(2**31)
        case "long":
            return _integers(2**63)
        case _:
            return None


def _floats(code: str, width: int) -> Block:
    def read(body: bytes, at: int, count: int) -> tuple[Sequence[float], int] | None:
        end = at + width * count
        return None if end > len(body) else (struct.unpack_from(f"<{count}{code}", body, at), end)

    return read


def _integers(bound: int) -> Block:
    def read(body: bytes, at: int, count: int) -> tuple[Sequence[float], int] | None:
        if count < FEWEST_ITEMS:
            return None
        numbers: list[int] = []
        while len(numbers) < count:
            part = some(body, at, min(count - len(numbers), _MOST_ABREAST))
            if part is None:
                return None
            numbers += part[0]
            at = part[1]
        return numbers, at

    def some(body: bytes, at: int, count: int) -> tuple[list[int], int] | None:
        octets = np.frombuffer(body, np.uint8, min(_MOST_BYTES * count, len(body) - at), at)
        last = np.flatnonzero(octets < 0x80)[:count]
        if len(last) < count:
            return None
        first = np.concatenate((last[:1] * 0, last[:-1] + 1))
        longest = int((last - first).max()) + 1
        if longest > _MOST_BYTES:
            return None
        numbers = np.zeros(count, np.uint64)
        for i in range(longest):
            bits = np.where(first + i <= last, octets.take(first + i, mode="clip") & 0x7F, 0)
            numbers |= bits.astype(np.uint64) << np.uint64(7 * i)
        signed = (numbers >> np.uint64(1)).view(np.int64) ^ -(numbers & np.uint64(1)).view(np.int64)
        if signed.min() < -bound or signed.max() >= bound:
            return None
        return signed.tolist(), at + int(last[-1]) + 1

    return read
