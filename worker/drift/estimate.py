"""An estimate of the model's quality without labels: of its own scores, right as far as these are calibrated.

Confidence-based performance estimation: a classifier that gives its prediction the probability c is right with the
probability c, if its probabilities mean what they say; so its expected accuracy is the mean of c, and the expected cells of its
confusion matrix are sums of probabilities (Bialek, Kivimaki, Kuberski and Perrakis, Estimating model performance under
covariate shift without labels, arXiv 2401.08348, 2024). It sees what a shift of the features does to quality. It can't see
that the same features now mean something else: that takes labels.

The windows hold counts by bin of the score. What a prediction of a bin may be expected to be is the mean over the
profile's rows in that bin; a bin without such rows, beyond the highest and the lowest, has what its neighbour has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from worker.columns import Scores
from worker.drift.profile import BELOW, FIRST_NUMERIC, SCORE, ReferenceProfile, Series
from worker.drift.sketch import bin_places
from worker.records import FloatArray, IntArray

RIGHT: Final = "right"


def expected_by_bin(series: Series, scores: Scores, positive: int | None) -> dict[str, tuple[float, ...]]:
    """Of the profile's rows, in the bins of their score ``series``: what is expected, by name. Nothing of a regression.

    ``positive``: the index of the positive class, where there is one.
    """
    if scores.label is None or scores.probabilities is None or not len(scores):
        return {}
    values = _by_row(scores, scores.label, scores.probabilities, positive)
    place, size = _bins(series, scores.score), series.bins
    count = np.bincount(place, minlength=size)
    filled = _nearest(count)
    means = {name: np.bincount(place, of_rows, size) / np.maximum(count, 1) for name, of_rows in values.items()}
    return {name: tuple(of_bins[filled].tolist()) for name, of_bins in means.items()}


class Estimator:
    """By a profile; one without expectations estimates nothing."""

    def __init__(self, profile: ReferenceProfile) -> None:
        names = {series.name: series.bins for series in profile.series}
        self._expected = {name: np.array(values) for name, values in profile.expected.items()}
        begin = bin_places(names).get(SCORE, 0)
        self._bins = slice(begin + BELOW, begin + names.get(SCORE, 0))

    def estimated(self, counts: IntArray) -> Mapping[str, float]:
        """Of counts by place in all series' bins, which may end where none was counted any more."""
        if RIGHT not in self._expected:
            return {}
        window = np.zeros(self._bins.stop - self._bins.start, np.int64)
        own = counts[self._bins]
        window[: len(own)] = own
        records = int(window.sum())
        if not records:
            return {}
        sums = {name: float(window @ values[BELOW:]) for name, values in self._expected.items()}
        found = {
            "accuracy": sums[RIGHT] / records,
            "log_loss": sums["log_loss"] / records,
            "brier": sums["brier"] / records,
        }
        for name, whole in (("precision", "said_positive"), ("recall", "positive")):
            if sums.get(whole, 0.0) > 0:
                found[name] = sums["true_positive"] / sums[whole]
        return found


def _by_row(scores: Scores, label: IntArray, given: FloatArray, positive: int | None) -> dict[str, FloatArray]:
    sure = np.clip(given, np.finfo(np.float64).tiny, 1)
    spread = (given * (1 - given)).sum(axis=1)
    found = {
        RIGHT: np.take_along_axis(given, label[:, None], axis=1)[:, 0],
        # Of two classes the positive one alone counts, so it is half of the sum.
        "brier": spread / 2 if positive is not None else spread,
        "log_loss": -(given * np.log(sure)).sum(axis=1),
    }
    if positive is not None:
        said = (label == positive).astype(np.float64)
        found |= {"said_positive": said, "positive": scores.score, "true_positive": said * scores.score}
    return found


def _bins(series: Series, values: FloatArray) -> IntArray:
    """The bin of each value, as ``Binning`` has it; int64 (n,)."""
    edges: Sequence[float] = series.edges
    place = np.searchsorted(np.array(edges), values, side="right") + BELOW
    return np.where(values == edges[-1], FIRST_NUMERIC + len(edges) - 2, place).astype(np.int64)


def _nearest(count: IntArray) -> IntArray:
    """For each bin the nearest one, from the lowest on, that has rows; int64."""
    known = np.flatnonzero(count[BELOW:]) + BELOW
    bins = np.arange(len(count))
    nearest: IntArray = known[np.abs(bins[:, None] - known[None, :]).argmin(axis=1)]
    return nearest
