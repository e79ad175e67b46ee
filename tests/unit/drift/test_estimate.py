"""The estimate of quality without labels."""

from __future__ import annotations

import numpy as np
import pytest

from worker.columns import Columns, NumberColumn, Scores
from worker.drift.binning import Binning
from worker.drift.estimate import Estimator
from worker.drift.profile import ReferenceProfile
from worker.drift.reference import reference_of
from worker.records import FloatArray, IntArray

CLASSES = ("no", "yes")


def binary(p: FloatArray, threshold: float = 0.4) -> tuple[Columns, Scores]:
    scores = Scores(p, CLASSES, (p >= threshold).astype(np.int64), np.column_stack([1 - p, p]))
    return Columns({"x": NumberColumn(p)}, len(p)), scores


def counts(profile: ReferenceProfile, columns: Columns, scores: Scores) -> IntArray:
    counted: IntArray = Binning(profile).counts(columns, scores, np.zeros(len(columns), np.int64), 1)[0]
    return counted[: int(np.flatnonzero(counted)[-1]) + 1].copy()


@pytest.mark.parametrize(("shifted", "error"), [((1.3, 4), 0.01), ((2, 3), 0.03)], ids=["some", "much"])
def test_of_calibrated_scores_it_is_the_quality(shifted: tuple[float, float], error: float) -> None:
    """After a shift of the scores, the estimates are close to what labels drawn by these scores say.

    Within a bin scores are taken to be as they were, so that a large shift costs some precision.
    """
    rng = np.random.default_rng(1)
    profile = reference_of(*binary(rng.beta(1, 4, 20_000)), positive=1)
    p = rng.beta(*shifted, 200_000)
    columns, scores = binary(p)
    true = rng.random(len(p)) < p
    assert scores.label is not None
    said = scores.label == 1
    expected = {
        "accuracy": np.mean(said == true),
        "precision": np.mean(true[said]),
        "recall": np.mean(said[true]),
        "brier": np.mean((p - true) ** 2),
        "log_loss": -np.mean(np.log(np.where(true, p, 1 - p))),
    }
    found = Estimator(profile).estimated(counts(profile, columns, scores))
    assert found == pytest.approx(expected, abs=error)
    # The reference's own quality is another: the estimate has followed the shift.
    own = Estimator(profile).estimated(counts(profile, *binary(rng.beta(1, 4, 20_000))))
    assert own["accuracy"] - found["accuracy"] > error


def test_of_the_profiles_own_rows_it_is_their_mean() -> None:
    """On the rows of the profile it equals the mean of what the model gave its predictions."""
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(3), 5_000)
    scores = Scores(p.max(axis=1), ("a", "b", "c"), p.argmax(axis=1), p)
    columns = Columns({}, len(p))
    profile = reference_of(columns, scores)
    found = Estimator(profile).estimated(counts(profile, columns, scores))
    assert found["accuracy"] == pytest.approx(p.max(axis=1).mean(), rel=1e-12)
    assert found["brier"] == pytest.approx((p * (1 - p)).sum(axis=1).mean(), rel=1e-12)
    assert "precision" not in found


def test_scores_beyond_the_reference() -> None:
    """A bin without rows of the reference counts as its neighbour does; NaN is left out."""
    profile = reference_of(*binary(np.linspace(0.4, 0.6, 1_000)), positive=1)
    found = Estimator(profile).estimated(counts(profile, *binary(np.array([0.01, 0.99, np.nan]))))
    # Of the reference's lowest and highest bins.
    assert found["accuracy"] == pytest.approx(0.5, abs=0.01)


def test_without_classes_there_is_none() -> None:
    """A regression, and a profile from before there were estimates, estimate nothing."""
    columns = Columns({"x": NumberColumn(np.arange(500.0))}, 500)
    profile = reference_of(columns, Scores(np.arange(500.0)))
    assert profile.expected == {}
    assert Estimator(profile).estimated(np.ones(50, np.int64)) == {}


def test_a_profile_keeps_it() -> None:
    """By way of JSON; and a profile without it is read as before."""
    profile = reference_of(*binary(np.random.default_rng(3).random(1_000)), positive=1)
    assert ReferenceProfile.from_json(profile.to_json()) == profile
    old = ReferenceProfile(profile.series, 60, 1_000).to_json().replace('"expected": {},', "")
    assert ReferenceProfile.from_json(old).expected == {}


def test_no_window_no_estimate() -> None:
    """Of nothing, nothing is estimated."""
    profile = reference_of(*binary(np.random.default_rng(4).random(1_000)), positive=1)
    assert Estimator(profile).estimated(np.zeros(0, np.int64)) == {}
