"""Columns to counts by bin, all series of a profile at once."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.columns import Column, Columns, NumberColumn, Scores, TextColumn, VectorColumn
from worker.drift.grid import Grid
from worker.drift.profile import FIRST_CATEGORY, LABEL, MISSING, SCORE, ReferenceProfile
from worker.records import BoolArray, IntArray

_CHUNK_VALUES = 24_000
"""So many values at a time stay in the processor's cache."""
_Numbers = tuple[npt.NDArray[Any], BoolArray | None]
_ITEM = re.compile(r"^(.+)\[(\d+)\]$")


def item_of(series: str) -> tuple[str, int | None]:
    """The field that a series is of, and which item of its vectors: ``embedding[3]`` is item 3 of ``embedding``."""
    found = _ITEM.match(series)
    return (series, None) if found is None else (found[1], int(found[2]))


class Binning:
    """The bins of all series of a profile; ``size`` is their number."""

    def __init__(self, profile: ReferenceProfile) -> None:
        places = np.cumsum([0, *(series.bins for series in profile.series)]).tolist()
        self.size: int = places.pop()
        placed = list(zip(profile.series, places, strict=True))
        numeric = [(one, place) for one, place in placed if one.kind == "numeric"]
        self._numeric = [item_of(one.name) for one, _ in numeric]
        self._grid = Grid([one.edges for one, _ in numeric], [place for _, place in numeric])
        self._categories = [
            (one.name, place, tuple(name.encode() for name in one.categories))
            for one, place in placed
            if one.kind == "category"
        ]

    def counts(self, columns: Columns, scores: Scores, group: IntArray, groups: int) -> IntArray:
        """How many of the rows of each group (``group``: int64 (n,), below ``groups``) are in each bin.

        int64 (groups, size). A row is in one bin of every series.
        """
        first = group * self.size
        keys = np.empty((len(self._categories), len(group)), np.int64)
        for row, (name, place, categories) in zip(keys, self._categories, strict=True):
            codes = _label_codes(scores, categories) if name == LABEL else _codes(columns[name], categories)
            np.add(codes, place + FIRST_CATEGORY, out=row)
        keys += first
        counted = np.bincount(keys.ravel(), minlength=groups * self.size)
        if self._numeric:
            numbers = [_numbers(columns, scores, name, item) for name, item in self._numeric]
            step = max(1, _CHUNK_VALUES // len(numbers))
            for begin in range(0, len(first), step):
                rows = slice(begin, begin + step)
                bins = self._bins([(values[rows], None if null is None else null[rows]) for values, null in numbers])
                bins += first[rows]
                counted += np.bincount(bins.ravel(), minlength=len(counted))
        return counted.reshape(groups, self.size)

    def _bins(self, numbers: Sequence[_Numbers]) -> IntArray:
        """Places in the concatenation of all bins, int64 (numeric series, rows)."""
        block = np.empty((len(numbers), len(numbers[0][0])))
        with np.errstate(invalid="ignore"):  # a signalling NaN says so when it is widened
            for row, (values, null), lowest in zip(block, numbers, self._grid.lowest, strict=True):
                row[:] = values
                if null is not None:
                    np.copyto(row, lowest, where=null)
        bins = self._grid.bins(block)
        for row, (_, null), place in zip(bins, numbers, self._grid.places, strict=True):
            if null is not None:
                np.copyto(row, place + MISSING, where=null)
        return bins


def _numbers(columns: Columns, scores: Scores, name: str, item: int | None) -> _Numbers:
    """Values of a numeric series and where they are missing; a vector without the item has none."""
    if name == SCORE:
        return scores.score, None
    column = columns[name]
    if isinstance(column, NumberColumn):
        return column.values, column.null
    if not isinstance(column, VectorColumn) or item is None:
        raise TypeError(f"{name} holds no numbers")
    at = column.start + item
    missing: BoolArray = at >= column.end
    pool = column.pool if len(column.pool) else np.zeros(1)
    return pool.take(np.where(missing, 0, at)), missing


def _codes(column: Column, categories: tuple[bytes, ...]) -> IntArray:
    """The category's number, -1 for any other, -2 where null."""
    if not isinstance(column, TextColumn):
        raise TypeError("a column of categories holds text")
    codes = column.codes(categories)
    if column.null is not None:
        codes[column.null] = MISSING - FIRST_CATEGORY
    return codes


def _label_codes(scores: Scores, categories: tuple[bytes, ...]) -> IntArray:
    if scores.label is None:
        return np.full(len(scores), MISSING - FIRST_CATEGORY)
    return _class_codes(scores.classes, categories).take(scores.label)


@functools.lru_cache(maxsize=16)
def _class_codes(classes: tuple[str, ...], categories: tuple[bytes, ...]) -> IntArray:
    known = {category: code for code, category in enumerate(categories)}
    return np.array([known.get(name.encode(), -1) for name in classes], np.int64)
