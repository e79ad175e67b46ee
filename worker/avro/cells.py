"""A column in the making: plain arrays that both readers fill, so that both end in the very same columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.slots import Form, Slot
from worker.columns import NumberColumn
from worker.columns.text import TextColumn, padded
from worker.columns.vectors import VectorColumn
from worker.records import BoolArray, IntArray

ReadColumn = NumberColumn | TextColumn | VectorColumn
_NOTHING: npt.NDArray[Any] = np.empty(0)


@dataclass(slots=True)
class Cells:
    """n values of one slot. ``values``: numbers, an enum's indices, or where texts and vectors start.

    ``ends`` is for texts and vectors, ``pool`` for vectors. Where ``null`` is set the other arrays hold 0.
    """

    values: npt.NDArray[Any]
    ends: IntArray | None = None
    null: BoolArray | None = None
    pool: npt.NDArray[Any] = field(default_factory=lambda: _NOTHING)
    is_ascii: bool = False


Out = list[Cells | None]
"""What has been read, by slot."""


def blank_cells(slot: Slot, count: int) -> Cells:
    if slot.form in (Form.TEXT, Form.VECTOR):
        pool = np.empty(0, slot.dtype)
        return Cells(np.zeros(count, np.int64), np.zeros(count, np.int64), pool=pool, is_ascii=True)
    return Cells(np.zeros(count, np.int64 if slot.form is Form.ENUM else slot.dtype))


def cells_of(slot: Slot, values: Sequence[Any], bases: Sequence[int]) -> Cells:
    """From values as the per-record reader gives them; texts are places relative to their record's ``bases``."""
    null = None
    if slot.nullable and None in values:
        null = np.fromiter((value is None for value in values), np.bool_, len(values))
    if slot.form is Form.TEXT:
        places = [(0, 0) if v is None else (b + v[0], b + v[1]) for v, b in zip(values, bases, strict=True)]
        starts, ends = np.array(places, np.int64).reshape(-1, 2).T.copy()
        return Cells(starts, ends, null)
    if slot.form is Form.VECTOR:
        vectors = values if null is None else [() if value is None else value for value in values]
        lengths = np.fromiter(map(len, vectors), np.int64, len(vectors))
        ends = np.cumsum(lengths)
        pool = numbers(chain.from_iterable(vectors), slot.dtype, int(lengths.sum()))
        return Cells(ends - lengths, ends, null, pool)
    items = values if null is None else [0 if value is None else value for value in values]
    return Cells(
        np.array(items, np.int64) if slot.form is Form.ENUM else numbers(items, slot.dtype, len(items)), null=null
    )


def numbers(items: Iterable[Any], dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
    """Beyond its range a float32 is infinite, as a cast makes it, and says no more about it."""
    if dtype is not np.float32:
        return np.fromiter(items, dtype, count)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.fromiter(items, np.float64, count).astype(np.float32)


def constant_column(slot: Slot, value: Any, count: int) -> ReadColumn:
    """A default in every row."""
    zeros = np.zeros(count, np.int64)
    null = np.ones(count, np.bool_) if value is None else None
    if slot.form is Form.TEXT:
        text = value or b""
        return TextColumn(padded(text), zeros, zeros + len(text), null, not slot.is_string)
    if slot.form is Form.VECTOR:
        return VectorColumn(numbers(value or (), slot.dtype, len(value or ())), zeros, zeros + len(value or ()), null)
    if slot.form is Form.ENUM:
        return finished(slot, Cells(zeros + (value or 0), null=null), b"")
    return NumberColumn(np.full(count, 0 if value is None else numbers([value], slot.dtype, 1)[0], slot.dtype), null)


def patch(slot: Slot, cells: Cells, rows: IntArray, part: Cells) -> None:
    """Replace the ``rows`` of ``cells`` by ``part``; the arrays of ``cells`` must be its own."""
    shift = len(cells.pool) if slot.form is Form.VECTOR else 0
    cells.values[rows] = part.values + shift if shift else part.values
    if cells.ends is not None and part.ends is not None:
        cells.ends[rows] = part.ends + shift
    if part.null is not None and cells.null is None:
        cells.null = np.zeros(len(cells.values), np.bool_)
    if cells.null is not None:
        cells.null[rows] = False if part.null is None else part.null
    if slot.form is Form.VECTOR:
        cells.pool = np.concatenate((cells.pool, part.pool))
    cells.is_ascii &= part.is_ascii


def own(cells: Cells) -> Cells:
    """A copy that may be patched."""
    ends = None if cells.ends is None else cells.ends.copy()
    null = None if cells.null is None else cells.null.copy()
    return Cells(cells.values.copy(), ends, null, cells.pool, cells.is_ascii)


def finished(slot: Slot, cells: Cells, data: bytes) -> ReadColumn:
    """The column; ``data`` is the padded buffer that texts are slices of."""
    null = None if cells.null is None or not cells.null.any() else cells.null
    if slot.form is Form.TEXT:
        assert cells.ends is not None
        return TextColumn(data, cells.values, cells.ends, null, not slot.is_string, cells.is_ascii)
    if slot.form is Form.VECTOR:
        assert cells.ends is not None
        return VectorColumn(cells.pool, cells.values, cells.ends, null)
    if slot.form is Form.ENUM:
        return _symbols(slot, cells.values, null)
    return NumberColumn(cells.values, null)


def _symbols(slot: Slot, indices: IntArray, null: BoolArray | None) -> TextColumn:
    symbols = _symbol_column(slot.symbols)
    start, end = symbols.start.take(indices), symbols.end.take(indices)
    if null is not None:
        start, end = np.where(null, 0, start), np.where(null, 0, end)
    return TextColumn(symbols.pool, start, end, null, is_bytes=False, is_ascii=symbols.is_ascii)


@lru_cache(maxsize=256)
def _symbol_column(symbols: tuple[str, ...]) -> TextColumn:
    """An enum's symbols, each once: what every column of that enum points into."""
    return replace(TextColumn.of(symbols), is_ascii="".join(symbols).isascii())
