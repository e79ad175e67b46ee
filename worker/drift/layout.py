"""All that is judged of a profile, laid side by side, so that a window is judged by whole arrays.

Of each series its distribution, its missing rate and its unseen rate (``worker.drift.judged``) are histograms. Their bins
stand in one array of cells; one histogram is a *judged series*.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worker.drift.judged import DISTRIBUTION, MISSING_RATE, judged
from worker.drift.profile import Null, ReferenceProfile, Series
from worker.records import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One histogram. ``cells``: where it stands; ``reference``: its counts in the training data."""

    series: Series
    what: str
    cells: slice
    reference: IntArray

    @property
    def null(self) -> Null | None:
        return (self.series.nulls or {}).get(self.what)

    def labels(self) -> tuple[str, ...]:
        """What its bins are called, for people."""
        if self.what == DISTRIBUTION:
            return tuple(self.series.labels()[self.series.regular])
        return ("missing", "there") if self.what == MISSING_RATE else ("unseen", "known")


class Layout:
    """``judged`` in the profile's order; ``reference`` (int64) the cells of all of them; those without a record in the
    training data are left out: there is nothing to hold a window against.
    """

    def __init__(self, profile: ReferenceProfile) -> None:
        found: list[Judged] = []
        sources: list[IntArray] = []
        begin = 0
        for series in profile.series:
            # What is judged is a sum of bins; of each bin alone it shows which.
            of_each_bin = judged(series, np.eye(series.bins, dtype=np.int64))
            for what, counts in judged(series, np.array(series.counts, np.int64)).items():
                if counts.sum():
                    cells = sum(len(one.reference) for one in found)
                    found.append(Judged(series, what, slice(cells, cells + len(counts)), counts))
                    sources += [begin + np.flatnonzero(column) for column in of_each_bin[what].T]
            begin += series.bins
        self.judged = tuple(found)
        self.reference: IntArray = _joined(one.reference for one in found)
        self._bins = begin
        self._sources = _joined(sources)
        self._source_begins = _begins(len(one) for one in sources)
        lengths = [len(one.reference) for one in found]
        self._begins = _begins(lengths)
        self._owner = np.repeat(np.arange(len(lengths)), lengths)

    def cells(self, counts: IntArray) -> IntArray:
        """Of counts by place in all series' bins, which may end where none was counted any more."""
        whole = np.zeros(self._bins, np.int64)
        whole[: len(counts)] = counts
        summed: IntArray = np.add.reduceat(whole[self._sources], self._source_begins)
        return summed

    def sums(self, cells: ArrayLike) -> FloatArray:
        """By judged series."""
        summed: FloatArray = np.add.reduceat(np.asarray(cells, np.float64), self._begins)
        return summed

    def spread(self, by_judged: ArrayLike) -> NDArray[Any]:
        """To each cell what its judged series has."""
        return np.asarray(by_judged)[self._owner]

    def shares(self, cells: ArrayLike) -> FloatArray:
        """Each cell's part of its judged series; 0 in those without a record."""
        totals = np.maximum(self.spread(self.sums(cells)), np.finfo(np.float64).tiny)
        parts: FloatArray = np.asarray(cells) / totals
        return parts


def _joined(parts: Iterable[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _begins(lengths: Iterable[int]) -> IntArray:
    return np.array([0, *itertools.accumulate(lengths)][:-1], np.int64)
