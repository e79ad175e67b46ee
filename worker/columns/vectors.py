"""Arrays of numbers as one column: slices of a pool of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.records import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """n vectors; row i is ``pool[start[i]:end[i]]``, empty where ``null`` is set.

    ``pool`` is one-dimensional, of the items' type; rows may share its items. ``null=None``: none is null.
    """

    pool: npt.NDArray[Any]
    start: IntArray
    end: IntArray
    null: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.start)

    @staticmethod
    def of(vectors: Sequence[Sequence[Any] | None], dtype: npt.DTypeLike) -> VectorColumn:
        null = np.fromiter((vector is None for vector in vectors), np.bool_, len(vectors))
        lengths = np.fromiter((len(vector or ()) for vector in vectors), np.int64, len(vectors))
        end = np.cumsum(lengths)
        pool = np.array(list(chain.from_iterable(vector or () for vector in vectors)), dtype)
        return VectorColumn(pool, end - lengths, end, null if null.any() else None)

    def take(self, rows: IntArray) -> VectorColumn:
        return VectorColumn(self.pool, self.start[rows], self.end[rows], None if self.null is None else self.null[rows])

    def to_list(self) -> list[Any]:
        """As lists of Python numbers and ``None``."""
        objects: list[Any] = self.objects().tolist()
        return objects

    def lengths(self) -> IntArray:
        return self.end - self.start

    def items(self) -> npt.NDArray[Any]:
        """The items of all rows, one row after the other; a view where they stand so in the pool."""
        if not len(self):
            return self.pool[:0]
        if (self.start[1:] == self.end[:-1]).all():
            return self.pool[self.start[0] : self.end[-1]]
        lengths = self.lengths()
        before = np.cumsum(lengths) - lengths
        found: npt.NDArray[Any] = self.pool[np.repeat(self.start - before, lengths) + np.arange(int(lengths.sum()))]
        return found

    def rows_with(self, chosen: BoolArray) -> BoolArray:
        """Which rows have any of the chosen items, bool of shape (n,); ``chosen`` is of the shape of ``items()``."""
        ends = np.cumsum(self.lengths())
        counted = np.concatenate(([0], np.cumsum(chosen)))
        found: BoolArray = np.diff(counted[ends], prepend=0) > 0
        return found

    def matrix(self, width: int) -> npt.NDArray[Any]:
        """Of shape (n, width) and the items' type; with nulls float64, a null row as NaN.

        Raises ValueError when a row that is not null has another length.
        """
        null = self.null
        if ((self.lengths() != width) & (True if null is None else ~null)).any():
            raise ValueError(f"not all vectors have {width} items")
        if null is None:
            return self.items().reshape(-1, width)
        rows = np.full((len(self), width), np.nan)
        rows[~null] = self.take(np.flatnonzero(~null)).items().reshape(-1, width)
        return rows

    def objects(self) -> npt.NDArray[np.object_]:
        """As lists of Python numbers and ``None``, shape (n,)."""
        objects = np.empty(len(self), object)
        for i, (start, end) in enumerate(zip(self.start.tolist(), self.end.tolist(), strict=True)):
            objects[i] = self.pool[start:end].tolist()
        if self.null is not None:
            objects[self.null] = None
        return objects
