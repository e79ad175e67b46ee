"""Numbers and booleans as one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from worker.records import BoolArray, FloatArray, IntArray, value_class


@value_class
class NumberColumn:
    """n numbers or booleans. Where ``null`` is set the value is 0 and means nothing; ``null=None``: none is null."""

    values: npt.NDArray[Any]
    null: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: IntArray) -> NumberColumn:
        return NumberColumn(self.values[rows], None if self.null is None else self.null[rows])

    def floats(self) -> FloatArray:
        """As float64 of shape (n,), null as NaN: what a model's matrix holds."""
        floats = self.values.astype(np.float64)
        if self.null is not None:
            floats[self.null] = np.nan
        return floats

    def to_list(self) -> list[Any]:
        """As Python numbers and ``None``."""
        values: list[Any] = (self.values if self.null is None else self.objects()).tolist()
        return values

    def objects(self) -> npt.NDArray[np.object_]:
        """As Python numbers and ``None``, shape (n,)."""
        objects = self.values.astype(object)
        if self.null is not None:
            objects[self.null] = None
        return objects
