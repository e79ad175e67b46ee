"""Whether a window is further from the reference than chance allows, series by series.

The statistic is the Jensen-Shannon distance, of the window alone and of windows smoothed over each of ``SPANS``
(``worker.drift.nulls``); it has to exceed its bound (``worker.drift.bounds``) and a floor of the effect.

The level is Bonferroni's: the configured rate of false episodes a window, divided by all judged series and spans. So an
episode is opened by chance at that rate at most, however series depend on one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from worker.drift.bounds import Bounds, fewness, sampling_unit
from worker.drift.layout import Judged, Layout
from worker.drift.nulls import SPANS, newest_weight
from worker.drift.statistics import divergence_terms
from worker.records import BoolArray, FloatArray, IntArray

HIGHEST_KEPT: Final = 1.05
"""Smoothed windows are held to this score, so that what is over is forgotten soon, however large it was."""
_HALVINGS: Final = 8


@dataclass(frozen=True, slots=True)
class Policy:
    """``rate``: false episodes in 1,000 windows, over all series. ``effect_floor``: a distance below it is no drift.

    ``min_records``: a series with fewer in a window is not judged there. ``quiet_windows``: an episode is over after so
    many in a row that are quiet.
    """

    rate: float = 1.0
    min_records: int = 100
    effect_floor: float = 0.05
    quiet_windows: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """The past of one span: cells smoothed exponentially, and by judged series the sum of squared weights times records.

    Zeros before the first window. Rounded, for the sake of its size where it is stored.
    """

    cells: FloatArray
    squares: FloatArray

    def equal_records(self, totals: FloatArray) -> FloatArray:
        """Of so many records of one weight the shares would vary as those of the smoothed cells do."""
        return totals**2 / np.maximum(self.squares, 1e-9)


Past = dict[int, Smoothed]


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """Of one judged series in one window; of the spans, that with the highest score.

    ``counts``: the window's, by bin. ``terms``: by bin, its part of the divergence. ``score``: statistic / threshold.
    ``effect``: the distance less what sampling gives in the mean.
    """

    judged: Judged
    counts: IntArray
    terms: FloatArray
    span: int
    statistic: float
    null_quantile: float
    threshold: float
    score: float
    effect: float


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """``measures``: statistic, null quantile, threshold, score and effect, a row each."""

    measures: FloatArray
    terms: FloatArray

    @property
    def threshold(self) -> FloatArray:
        thresholds: FloatArray = self.measures[2]
        return thresholds

    @property
    def score(self) -> FloatArray:
        scores: FloatArray = self.measures[3]
        return scores


class Significance:
    """The verdict on windows of one profile."""

    def __init__(self, layout: Layout, policy: Policy) -> None:
        self._layout, self._policy = layout, policy
        self._shares = layout.shares(layout.reference)
        self._records = layout.sums(layout.reference)
        self._freedom = np.maximum(layout.sums(layout.reference > 0) - 1, 1)
        level = policy.rate / 1_000 / max(1, len(layout.judged) * len(SPANS))
        nulls = [one.null for one in layout.judged]
        self._bounds = {span: Bounds(span, nulls, self._freedom, self._records, level) for span in SPANS}

    def fresh(self) -> Past:
        """The past before the first window."""
        cells, judged = len(self._layout.reference), len(self._layout.judged)
        return {span: Smoothed(np.zeros(cells), np.zeros(judged)) for span in SPANS if span > 1}

    def judge(self, counts: IntArray, past: Past) -> tuple[list[Finding], Past]:
        """One window, by place in all series' bins: its series with enough records, and the past with it in it."""
        layout = self._layout
        cells = layout.cells(counts)
        records = layout.sums(cells)
        worth = records >= self._policy.min_records
        looks, after = [self._look(1, cells, records)], {}
        for span, before in past.items():
            smoothed = self._advanced(span, before, cells, records, worth)
            equal = smoothed.equal_records(layout.sums(smoothed.cells))
            looks.append(self._look(span, smoothed.cells, equal))
            after[span] = self._held_back(smoothed, looks[-1])
        best = np.argmax([look.score for look in looks], axis=0)
        spans = [1, *past]
        found = [self._finding(i, spans[best[i]], cells, looks[best[i]]) for i in np.flatnonzero(worth).tolist()]
        return found, after

    def _finding(self, i: int, span: int, cells: IntArray, look: _Look) -> Finding:
        judged = self._layout.judged[i]
        return Finding(judged, cells[judged.cells], look.terms[judged.cells], span, *look.measures[:, i].tolist())

    def _look(self, span: int, cells: FloatArray | IntArray, records: FloatArray) -> _Look:
        records = np.maximum(records, 1e-9)
        statistic, terms = self._distance(cells)
        few = self._layout.sums(fewness(self._shares * self._layout.spread(records)))
        null_quantile = self._bounds[span].distance(records, few)
        threshold = np.maximum(null_quantile, self._policy.effect_floor)
        beyond = statistic**2 - self._freedom * sampling_unit(records, self._records)
        effect = np.sqrt(np.maximum(0, beyond))
        return _Look(np.stack([statistic, null_quantile, threshold, statistic / threshold, effect]), terms)

    def _distance(self, cells: FloatArray | IntArray) -> tuple[FloatArray, FloatArray]:
        """By judged series, and by cell its part of the divergence."""
        terms = divergence_terms(self._shares, self._layout.shares(cells))
        return np.sqrt(np.clip(self._layout.sums(terms), 0, 1)), terms

    def _advanced(
        self, span: int, before: Smoothed, cells: IntArray, records: FloatArray, worth: BoolArray
    ) -> Smoothed:
        """With a window in it. Before the first one, all was as the reference is."""
        weight, spread = newest_weight(span), self._layout.spread
        started = spread(before.squares > 0)
        old = np.where(started, before.cells, self._shares * spread(records) / weight)
        return Smoothed(
            np.where(spread(worth), np.round((1 - weight) * old + cells, 2), before.cells),
            np.where(worth, np.round((1 - weight) ** 2 * before.squares + records, 2), before.squares),
        )

    def _held_back(self, smoothed: Smoothed, look: _Look) -> Smoothed:
        """Drawn towards the reference until no score is above ``HIGHEST_KEPT``, by less than a hundredth."""
        if not (look.score > HIGHEST_KEPT).any():
            return smoothed
        layout = self._layout
        middle = self._shares * layout.spread(layout.sums(smoothed.cells))
        kept, step = np.ones(len(layout.judged)), 0.5
        for _ in range(_HALVINGS):
            cells = middle + layout.spread(kept - step) * (smoothed.cells - middle)
            kept -= step * (self._distance(cells)[0] > HIGHEST_KEPT * look.threshold)
            step /= 2
        part = layout.spread(kept)
        cells = np.where(part < 1, np.round(middle + part * (smoothed.cells - middle), 2), smoothed.cells)
        return Smoothed(cells, smoothed.squares)
