"""Decoded features: one column a field, for all records of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from worker.columns.numbers import NumberColumn
from worker.columns.text import TextColumn
from worker.columns.vectors import VectorColumn
from worker.records import FloatArray, IntArray, value_class

__all__ = ["FEW_ROWS", "Column", "Columns", "NumberColumn", "Scores", "TextColumn", "VectorColumn"]

Column = NumberColumn | TextColumn | VectorColumn
FEW_ROWS = 3
"""Up to so many, values are looked at one by one: arrays cost more than what stands in them."""


@value_class
class Columns:
    """The fields of n records by (dotted) name; every column has length n.

    ``few`` may hold the values of few records beside the columns, the very same; of what is left out ask the column.
    """

    by_name: Mapping[str, Column]
    length: int
    few: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, name: str) -> Column:
        return self.by_name[name]

    def values(self, name: str) -> Sequence[Any]:
        """Of a column of numbers or texts: numbers, or the bytes of texts, and ``None``, one by one."""
        found = self.few.get(name)
        return self.by_name[name].to_list() if found is None else found

    def take(self, rows: IntArray) -> Columns:
        return Columns({name: column.take(rows) for name, column in self.by_name.items()}, len(rows))

    def with_column(self, name: str, column: Column) -> Columns:
        return Columns({**self.by_name, name: column}, self.length)


@value_class
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
