"""Figures of realised quality: scikit-learn's, and exactly additive."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from worker.quality.scoring import Actual, Predicted, Scoring, spellings
from worker.quality.tally import LABELLED, Tally, figures

BINARY = Scoring("binary", ("no", "yes"), "yes")
MULTICLASS = Scoring("multiclass", ("a", "b", "c", "d"))
REGRESSION = Scoring("regression", limit=0.5, wrong_beyond=1.0)
Pairs = list[tuple[Predicted, Actual]]


def tally(scoring: Scoring, pairs: Pairs) -> Tally:
    found = Tally()
    found.take(scoring, pairs)
    return found


def binary_pairs(count: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(count), 3)
    p[:3] = 0, 1, 0.5
    actual = rng.random(count) < p**1.5
    return [(Predicted(int(one >= 0.5), float(one)), int(true)) for one, true in zip(p, actual, strict=True)]


def multiclass_pairs(count: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4), count)
    p[:, 3] = 0  # a class that is never said, and is true now and then
    p /= p.sum(axis=1, keepdims=True)
    actual = rng.integers(0, 4, count).tolist()
    return [
        (Predicted(int(one.argmax()), float(one.max()), tuple(one.tolist())), true)
        for one, true in zip(p, actual, strict=True)
    ]


def test_binary_figures_are_those_of_scikit_learn() -> None:
    """Accuracy, precision, recall, log loss and Brier score agree with sklearn.metrics."""
    pairs = binary_pairs(2_000, 1)
    found = figures(tally(BINARY, pairs), BINARY)
    said, p, true = ([*one] for one in zip(*((s.label, s.score, a) for s, a in pairs), strict=True))
    assert found["accuracy"] == metrics.accuracy_score(true, said)
    assert found["error_rate"] == pytest.approx(1 - found["accuracy"], rel=1e-15)
    assert found["precision"] == metrics.precision_score(true, said)
    assert found["recall"] == metrics.recall_score(true, said)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(true, p), rel=1e-12)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(true, p), rel=1e-12)
    assert found["beyond_limit_rate"] == np.mean(np.abs(np.array(p) - true) > 0.1)


def test_calibration_error() -> None:
    """The mean distance of probability and frequency over ten bins, by an independent computation."""
    pairs = binary_pairs(3_000, 2)
    p, true = np.array([s.score for s, _ in pairs]), np.array([a for _, a in pairs])
    place = np.minimum((p * 10).astype(int), 9)
    expected = sum(
        np.mean(place == b) * abs(p[place == b].mean() - true[place == b].mean())
        for b in range(10)
        if (place == b).any()
    )
    assert figures(tally(BINARY, pairs), BINARY)["calibration_error"] == pytest.approx(expected, rel=1e-12)


def test_multiclass_figures_are_those_of_scikit_learn() -> None:
    """Accuracy, macro precision and recall and log loss agree; the Brier score is the sum over all classes."""
    pairs = multiclass_pairs(1_500, 3)
    found = figures(tally(MULTICLASS, pairs), MULTICLASS)
    said, true = [s.label for s, _ in pairs], [a for _, a in pairs]
    p = np.array([s.probabilities for s, _ in pairs])
    assert found["accuracy"] == metrics.accuracy_score(true, said)
    macro = {"average": "macro", "zero_division": 0}
    assert found["precision_macro"] == pytest.approx(metrics.precision_score(true, said, **macro), rel=1e-12)
    assert found["recall_macro"] == pytest.approx(metrics.recall_score(true, said, **macro), rel=1e-12)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(true, p, labels=range(4)), rel=1e-9)
    assert found["brier"] == pytest.approx(
        ((p - np.eye(4)[np.array(true, np.int64)]) ** 2).sum(axis=1).mean(), rel=1e-12
    )


def test_regression_figures_are_those_of_scikit_learn() -> None:
    """MAE and RMSE agree; a prediction is wrong beyond its own limit, and the rule has another."""
    rng = np.random.default_rng(4)
    said, true = rng.normal(0, 1, 1_000).tolist(), rng.normal(0, 1, 1_000).tolist()
    found = figures(tally(REGRESSION, [(Predicted(-1, s), t) for s, t in zip(said, true, strict=True)]), REGRESSION)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, said), rel=1e-12)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, said), rel=1e-12)
    off = np.abs(np.array(said) - true)
    assert (found["error_rate"], found["beyond_limit_rate"]) == (np.mean(off > 1), np.mean(off > 0.5))


@pytest.mark.parametrize("scoring", [BINARY, MULTICLASS, REGRESSION], ids=lambda scoring: scoring.task)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_tallies_add_up(scoring: Scoring, seed: int, cuts: list[int]) -> None:
    """Pairs in any order and any grouping, by way of JSON or not, make the same tally and so the same figures, bit for bit."""
    rng = random.Random(seed)
    if scoring is REGRESSION:
        pairs: Pairs = [(Predicted(-1, rng.gauss(0, 1e9)), rng.gauss(0, 1e-9)) for _ in range(60)]
    else:
        pairs = (binary_pairs if scoring is BINARY else multiclass_pairs)(60, seed)
    whole = tally(scoring, pairs)
    rng.shuffle(pairs)
    edges = [0, *sorted(cuts), len(pairs)]
    parts = [tally(scoring, pairs[a:b]) for a, b in itertools.pairwise(edges)]
    rng.shuffle(parts)
    merged = Tally()
    for part in parts:
        merged.add(Tally.of_state(part.state()))
    assert merged.state() == whole.state()
    assert figures(merged, scoring) == figures(whole, scoring)


def test_what_is_no_number_spoils_the_figures_and_nothing_else() -> None:
    """A prediction of NaN or infinity is wrong, and breaks the rule."""
    for score in (math.nan, math.inf):
        found = tally(REGRESSION, [(Predicted(-1, score), 1.0)])
        assert (found["wrong"], found["beyond"], found[LABELLED]) == (1, 1, 1)
        assert figures(found, REGRESSION)["mae"] > 1e300


def test_figures_without_meaning_are_left_out() -> None:
    """Without labels there are none; without a predicted positive there is no precision."""
    assert figures(Tally(), BINARY) == {}
    found = figures(tally(BINARY, [(Predicted(0, 0.2), 0)]), BINARY)
    assert "precision" not in found
    assert "recall" not in found


def test_spellings() -> None:
    """A label may spell a class as files and booleans do."""
    known = spellings(("0", "1"))
    assert [known.get(text) for text in ("0", "0.0", "false", "1", "1.0", "True", "yes")] == [0, 0, 0, 1, 1, 1, None]
