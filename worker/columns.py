"""Decoded features: one array a field, for all records of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
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

    def objects(self) -> npt.NDArray[np.object_]:
        """As Python numbers and ``None``, shape (n,)."""
        objects = self.values.astype(object)
        if self.null is not None:
            objects[self.null] = None
        return objects


@dataclass(frozen=True, slots=True)
class TextColumn:
    """n strings (or byte strings), ``None`` where null; ``values`` is an object array of shape (n,)."""

    values: npt.NDArray[np.object_]
    null: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: IntArray) -> TextColumn:
        return TextColumn(self.values[rows], None if self.null is None else self.null[rows])

    def lengths(self) -> IntArray:
        """Length of each in characters (bytes for byte strings), 0 where null; int64 of shape (n,)."""
        return np.fromiter((0 if v is None else len(v) for v in self.values), np.int64, len(self))

    def objects(self) -> npt.NDArray[np.object_]:
        return self.values


Column = NumberColumn | TextColumn


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of n records by (dotted) name; every column has length n."""

    by_name: Mapping[str, Column]
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, name: str) -> Column:
        return self.by_name[name]

    def take(self, rows: IntArray) -> Columns:
        return Columns({name: column.take(rows) for name, column in self.by_name.items()}, len(rows))

    def with_column(self, name: str, column: Column) -> Columns:
        return Columns({**self.by_name, name: column}, self.length)


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of n rows.

    ``score``: float64 (n,): the positive class's probability (binary), the predicted class's (multiclass), the value
    (regression) or the anomaly score. ``label``: int64 (n,), index into ``classes``, or None without classes.
    ``probabilities``: float64 (n, k) in the order of ``classes``, or None.
    """

    score: FloatArray
    classes: tuple[str, ...] = ()
    label: IntArray | None = None
    probabilities: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: IntArray) -> Scores:
        return Scores(
            self.score[rows],
            self.classes,
            None if self.label is None else self.label[rows],
            None if self.probabilities is None else self.probabilities[rows],
        )
