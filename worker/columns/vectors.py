"""Arrays of numbers as one column: slices of a pool of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.records import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """n vectors; row i is ``pool[start[i]:end[i]]``; ``pool`` is one-dimensional, of the items' type."""

    pool: npt.NDArray[Any]
    start: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.start)

    @property
    def null(self) -> BoolArray | None:
        """None: a vector is never null."""
        return None

    def take(self, rows: IntArray) -> VectorColumn:
        return VectorColumn(self.pool, self.start[rows], self.end[rows])

    def lengths(self) -> IntArray:
        return self.end - self.start

    def matrix(self) -> npt.NDArray[np.float64]:
        """As float64 of shape (n, k). Raises ValueError when the rows are not all of length k."""
        lengths = self.lengths()
        width = int(lengths.max(initial=0))
        if (lengths != width).any():
            raise ValueError("the vectors have different lengths")
        rows: npt.NDArray[Any] = self.pool[self.start[:, None] + np.arange(width)]
        return rows.astype(np.float64)

    def objects(self) -> npt.NDArray[np.object_]:
        """As lists of Python numbers, shape (n,)."""
        objects = np.empty(len(self), object)
        for i, (start, end) in enumerate(zip(self.start.tolist(), self.end.tolist(), strict=True)):
            objects[i] = self.pool[start:end].tolist()
        return objects
