"""Headers as they stand in a fetched record, for all records of a batch abreast.

Form: https://kafka.apache.org/documentation/#recordheader: their number, then of each the length and bytes of its name and
of its value; all numbers are zigzag varints, and a value of length -1 is null.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.records import HeaderColumns, IntArray, Slices
from worker.records.slices import ranges

MOST_HEADERS = 64
_PAD = bytes(8)
_LONGEST_VARINT = 5
_Bytes = npt.NDArray[np.uint8]


def parsed(content: bytes, start: IntArray, end: IntArray, row: IntArray) -> HeaderColumns | None:
    """Of blocks ``content[start[i]:end[i]]``, which are the headers of row ``row[i]`` (ascending).

    None where one of them is not plain: more than ``MOST_HEADERS``, a name that is not ASCII, or none that ends where its
    block does.
    """
    buffer = content + _PAD
    data = np.frombuffer(buffer, np.uint8)
    count, cursor = _varints(data, start)
    if not len(row) or count.min() < 1 or count.max() > MOST_HEADERS:
        return None
    whose, names, values = [], [], []
    for number in range(int(count.max())):
        some = np.flatnonzero(count > number)
        limit = end[some]
        length, name = _varints(data, np.minimum(cursor[some], limit))
        name_end = name + length
        if (length < 0).any() or (name_end >= limit).any():
            return None
        size, value = _varints(data, name_end)
        value_end = value + np.maximum(size, 0)
        if (size < -1).any() or (value_end > limit).any():
            return None
        whose.append(some)
        names.append((name, name_end))
        values.append((np.where(size < 0, -1, value), value_end))
        cursor[some] = value_end
    if (cursor != end).any():
        return None
    block = np.concatenate(whose)
    order = np.argsort(block, kind="stable")
    found = _joined(buffer, names, order)
    letters = data[ranges(found.start, found.end - found.start)]
    if ((letters == 0) | (letters >= 0x80)).any():
        return None
    return HeaderColumns(row[block[order]], found, _joined(buffer, values, order))


def _joined(buffer: bytes, parts: list[tuple[IntArray, IntArray]], order: IntArray) -> Slices:
    start, end = (np.concatenate(side)[order] for side in zip(*parts, strict=True))
    return Slices(buffer, start, end)


def _varints(data: _Bytes, at: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers at each place, and the places behind them; one of more than ``_LONGEST_VARINT`` bytes is cut off."""
    octet = data[at]
    number, at = (octet & 0x7F).astype(np.int64), at + 1
    for shift in range(7, 7 * _LONGEST_VARINT, 7):
        longer = np.flatnonzero(octet >= 0x80)
        if not len(longer):
            break
        following = data[np.minimum(at[longer], len(data) - 1)]
        number[longer] |= (following & 0x7F).astype(np.int64) << shift
        at[longer] += 1
        octet = np.zeros_like(octet)
        octet[longer] = following
    return (number >> 1) ^ -(number & 1), at
