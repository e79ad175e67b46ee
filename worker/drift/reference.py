"""Making the reference profile: of training rows, what the model says of them, and when they happened."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.columns import Column, Columns, NumberColumn, Scores, TextColumn
from worker.drift.binning import Binning
from worker.drift.estimate import expected_by_bin
from worker.drift.judged import judged
from worker.drift.nulls import null_of
from worker.drift.profile import FIRST_CATEGORY, FIRST_NUMERIC, LABEL, SCORE, Null, ReferenceProfile, Series
from worker.drift.sketch import bin_places
from worker.records import FloatArray, IntArray

BINS = 16
CATEGORIES = 32
ITEMS = 8
"""A vector of more items is no series: none of them alone means much, and they would be most of all series."""
LEAST_BLOCK_RECORDS = 100
"""A shorter block says more of its few records than of its time."""


class _LeftOut(Exception):  # noqa: N818 - a verdict
    """Why a column is no sensible series."""


def reference_of(
    columns: Columns,
    scores: Scores,
    *,
    times_ms: IntArray | None = None,
    window_seconds: int = 3_600,
    positive: int | None = None,
) -> ReferenceProfile:
    """The profile of training rows and what the model says of them.

    ``times_ms``, when the rows happened, give it its nulls: of each block of ``window_seconds`` with at least
    ``LEAST_BLOCK_RECORDS`` rows, how far it is from all the rest. One such block alone gives none. ``positive``: the
    index of the positive class, where there is one.
    """
    series: list[Series] = []
    left_out: dict[str, str] = {}
    for name, column in [*columns.by_name.items(), (SCORE, NumberColumn(scores.score))]:
        try:
            series += _series(name, column)
        except _LeftOut as why:
            left_out[name] = str(why)
    if scores.label is not None:
        counts = np.bincount(scores.label, minlength=len(scores.classes)).tolist()
        series.append(_category(LABEL, Counter(dict(zip(scores.classes, counts, strict=True)))))
    profile = ReferenceProfile(tuple(series), window_seconds, len(columns), left_out)
    blocks = np.zeros(len(columns), np.int64) if times_ms is None else times_ms // (window_seconds * 1_000)
    _, block, size = np.unique(blocks, return_inverse=True, return_counts=True)
    counts = Binning(profile).counts(columns, scores, block.reshape(-1), len(size))
    counted = tuple(_counted(profile, counts, size))
    score = next((one for one in counted if one.name == SCORE), None)
    expected = {} if score is None else expected_by_bin(score, scores, positive)
    return replace(profile, series=counted, expected=expected)


def _counted(profile: ReferenceProfile, counts: IntArray, size: IntArray) -> Iterator[Series]:
    """The series with their counts and nulls; ``counts`` are of blocks in the order of time, ``size`` their records."""
    places = bin_places({series.name: series.bins for series in profile.series})
    used = np.flatnonzero(size >= LEAST_BLOCK_RECORDS)
    for series in profile.series:
        own = counts[:, places[series.name] : places[series.name] + series.bins]
        total = own.sum(axis=0)
        yield replace(series, counts=tuple(total.tolist()), nulls=_nulls(series, own[used]) or None)


def _nulls(series: Series, blocks: IntArray) -> dict[str, Null]:
    found = {what: null_of(counts) for what, counts in judged(series, blocks).items()}
    return {what: null for what, null in found.items() if null is not None}


def _series(name: str, column: Column) -> list[Series]:
    """Raises _LeftOut."""
    if isinstance(column, TextColumn):
        return [_of_text(name, column)]
    if isinstance(column, NumberColumn):
        return [_numeric(name, column.values if column.null is None else column.values[~column.null])]
    lengths = set(column.lengths()[slice(None) if column.null is None else ~column.null].tolist())
    if len(lengths) != 1 or max(lengths) > ITEMS:
        raise _LeftOut(f"of vectors, those of one length up to {ITEMS} are counted")
    items = column.matrix(max(lengths))
    return [_numeric(f"{name}[{i}]", items[:, i]) for i in range(items.shape[1])]


def _of_text(name: str, column: TextColumn) -> Series:
    if column.is_bytes:
        raise _LeftOut("bytes are no categories")
    values = Counter(column.objects().tolist())
    del values[None]
    if not values:
        raise _LeftOut("it has no value in any row")
    if 2 * len(values) > values.total():
        raise _LeftOut("most of its values are there once or twice, as those of an id are")
    return _category(name, values)


def _category(name: str, values: Counter[str]) -> Series:
    """The most frequent are known; of equally frequent ones the first by name."""
    known = sorted(values, key=lambda value: (-values[value], value))[:CATEGORIES]
    return Series(name, "category", (0,) * (FIRST_CATEGORY + len(known)), categories=tuple(known))


def _numeric(name: str, values: npt.NDArray[Any]) -> Series:
    """Raises _LeftOut where there is no number."""
    numbers = values.astype(np.float64)
    edges = quantile_edges(numbers[np.isfinite(numbers)])
    if not edges:
        raise _LeftOut("it has no number in any row")
    return Series(name, "numeric", (0,) * (FIRST_NUMERIC + len(edges)), edges=edges)


def quantile_edges(numbers: FloatArray) -> tuple[float, ...]:
    """The values at 0, 1/16, 2/16 … of the numbers in their order, which are finite; two edges at least, or none at all.

    A value that stands at several of these has a bin of its own, up to the next one that there is.
    """
    if not len(numbers):
        return ()
    ordered = np.sort(numbers) + 0.0  # no negative zero
    at = np.round(np.linspace(0, len(ordered) - 1, BINS + 1)).astype(np.int64)
    values, repeats = np.unique(ordered[at], return_counts=True)
    edges = set(values.tolist())
    for value in values[repeats > 1].tolist():
        greater = np.searchsorted(ordered, value, side="right")
        above = float(ordered[greater]) if greater < len(ordered) else math.nextafter(value, math.inf)
        edges.add(above if math.isfinite(above) else math.nextafter(value, -math.inf))
    return tuple(sorted(edges))
