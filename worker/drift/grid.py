"""Numbers to bins without a search.

A uniform grid lies over the inner edges of each series. A cell knows the bin of its lower end and the one edge within it,
if there is one. Which cell a value falls into is computed for values and edges by the same arithmetic, none of whose
steps ever reverses an order; so rounding can't put a value on the wrong side of an edge: edges of lower cells are below
it, those of higher cells above it, and with its own cell's it is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from worker.drift.profile import BELOW, FIRST_NUMERIC, NAN
from worker.records import FloatArray, IntArray

_CELLS = (64, 512, 4_096)
"""Tried in this order until no cell of a series holds two edges; what is in one that still does is searched."""


class Grid:
    """The grids of k series side by side; ``places``: where the bins of each begin; ``lowest``: its first edge."""

    def __init__(self, edges: Sequence[Sequence[float]], places: Sequence[int]) -> None:
        """``edges`` of each series ascend, and are two at least."""
        self.places = list(places)
        self.lowest = [own[0] for own in edges]
        self._highest = [own[-1] for own in edges]
        self._above = [place + FIRST_NUMERIC + len(own) - 1 for own, place in zip(edges, places, strict=True)]
        self._range = _columns(self.lowest), _columns(self._highest)
        self._inner = [np.array(own[1:-1], np.float64) for own in edges]
        cells = [_cells_for(inner) for inner in self._inner]
        begins = np.cumsum([0, *cells]).tolist()
        self._scale = _columns([_scale(inner, count) for inner, count in zip(self._inner, cells, strict=True)])
        self._first, self._last = _columns(begins[:-1]), _columns(begins[1:]) - 1
        with np.errstate(over="ignore"):
            self._shift = self._first - _columns([own[0] if len(own) else 0.0 for own in self._inner]) * self._scale
        self._bin = np.zeros(begins[-1], np.int64)
        self._edge = np.full(begins[-1], np.inf)
        self._crowded = np.zeros(begins[-1], np.bool_)
        for k, (begin, end) in enumerate(pairwise(begins)):
            self._lay(k, begin, end)
        self._with_crowds = [k for k, (b, e) in enumerate(pairwise(begins)) if self._crowded[b:e].any()]

    def bins(self, block: FloatArray) -> IntArray:
        """The place of each value's bin among all bins; both of shape (k, rows). None of the values is missing."""
        with np.errstate(invalid="ignore", over="ignore"):
            cells = self._cells(block)
            bins: IntArray = self._bin.take(cells)
            bins += block >= self._edge.take(cells)
            # An extreme among which there is a NaN is NaN, which is within no range.
            within = (block.min(axis=1, keepdims=True) >= self._range[0]) & (
                block.max(axis=1, keepdims=True) <= self._range[1]
            )
        for k in self._with_crowds:
            rows = np.flatnonzero(self._crowded.take(cells[k]))
            bins[k, rows] = self._searched(k, block[k, rows])
        for k in np.flatnonzero(~within).tolist():
            values, row = block[k], bins[k]
            row[values < self.lowest[k]] = self.places[k] + BELOW
            row[values > self._highest[k]] = self._above[k]
            row[np.isnan(values)] = self.places[k] + NAN
        return bins

    def _cells(self, block: FloatArray) -> npt.NDArray[np.int64]:
        with np.errstate(over="ignore"):  # far beyond narrow edges is infinite, and in the last cell
            at = block * self._scale
            at += self._shift
        np.fmax(at, self._first, out=at)  # NaN as well
        np.fmin(at, self._last, out=at)
        return at.astype(np.int64)

    def _lay(self, k: int, begin: int, end: int) -> None:
        """Fill in what the cells of one series know."""
        inner = self._inner[k]
        at = self._cells(np.tile(inner, (len(self.places), 1)))[k]
        own = np.arange(begin, end)
        below = np.searchsorted(at, own)  # edges in lower cells
        within = np.searchsorted(at, own, side="right") - below
        self._bin[begin:end] = self.places[k] + FIRST_NUMERIC + below
        self._edge[own[within == 1]] = inner[below[within == 1]]
        self._crowded[begin:end] = within > 1

    def _searched(self, k: int, values: FloatArray) -> IntArray:
        found: IntArray = self.places[k] + FIRST_NUMERIC + np.searchsorted(self._inner[k], values, side="right")
        return found


def _cells_for(inner: FloatArray) -> int:
    """How many cells the series needs."""
    for count in _CELLS:
        with np.errstate(invalid="ignore", over="ignore"):
            at = np.floor((inner - inner[:1]) * _scale(inner, count))
        if len(inner) < 2 or (np.diff(at) > 0).all():
            return count
    return _CELLS[-1]


def _scale(inner: FloatArray, cells: int) -> float:
    """Cells a unit; 0, which puts all into the first, where there is no telling."""
    with np.errstate(over="ignore", divide="ignore"):
        scale = (cells - 1) / (inner[-1] - inner[0]) if len(inner) > 1 else 0.0
    return float(scale) if np.isfinite(scale) else 0.0


def _columns(numbers: Sequence[float]) -> FloatArray:
    return np.array(numbers, np.float64)[:, None]
