"""Concept drift by the errors: how often without cause, and how soon with one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from worker.quality.detector import EVIDENCE, NONE, ErrorDetector, upper_limit

WINDOWS = 2_000


def alarms(detector: ErrorDetector, rates: list[tuple[int, int]]) -> list[int]:
    """At which windows there is an alarm; after one the detector begins again."""
    found, evidence = [], NONE
    for number, (wrong, records) in enumerate(rates):
        evidence = detector.advance(evidence, wrong, records)
        if detector.statistic(evidence) > detector.threshold:
            found.append(number)
            evidence = NONE
    return found


def test_upper_limit() -> None:
    """The confidence limit is the one by which so few errors are just one in a hundred."""
    for wrong, records in ((0, 50), (13, 200), (199, 200)):
        assert stats.binom.cdf(wrong, records, upper_limit(wrong, records)) == pytest.approx(0.01, rel=1e-6)
    assert upper_limit(7, 7) == 1.0


@pytest.mark.parametrize("records", [1, 5, 200])
def test_false_alarms(records: int) -> None:
    """Where predictions are wrong as often as is tolerated, there is an alarm in 1,000 windows at most, in the mean."""
    rng = np.random.default_rng(records)
    detector = ErrorDetector(0.15, 0.001)
    streams = [[(int(k), records) for k in rng.binomial(records, 0.15, WINDOWS)] for _ in range(10)]
    assert sum(len(alarms(detector, stream)) for stream in streams) <= 10 * WINDOWS / 1_000


def test_false_alarms_with_dependent_records() -> None:
    """A window's records may hang together in stretches; it has to have eight of them."""
    rng = np.random.default_rng(5)
    detector = ErrorDetector(0.15, 0.001)
    streams = [[(int(k) * 25, EVIDENCE * 25) for k in rng.binomial(EVIDENCE, 0.15, WINDOWS)] for _ in range(10)]
    assert 0 < sum(len(alarms(detector, stream)) for stream in streams) <= 10 * WINDOWS / 1_000


@pytest.mark.parametrize(("rate", "most"), [(0.9, 1), (0.7, 2), (0.5, 4), (0.4, 7), (0.3, 18)])
def test_delay(rate: float, most: int) -> None:
    """A model that becomes wrong so often is found within so many windows, after a quiet past: the table in docs/quality.md."""
    detector = ErrorDetector.of(100, 1_000, rise=0.05, level=0.001)
    quiet = [(20, 200)] * 300
    assert alarms(detector, quiet) == []
    assert alarms(detector, [*quiet, *[(int(200 * rate), 200)] * 40])[0] < 300 + most


def test_what_is_over_is_forgotten_soon() -> None:
    """However long the model was wrong, the evidence is gone within a dozen windows."""
    detector, evidence = ErrorDetector.of(100, 1_000, rise=0.05, level=0.001), NONE
    for _ in range(100):
        evidence = detector.advance(evidence, 180, 200)
    assert 1 < detector.statistic(evidence) / detector.threshold < 1.051
    for _ in range(12):
        evidence = detector.advance(evidence, 20, 200)
    assert detector.statistic(evidence) / detector.threshold < 0.8


def test_the_ratio_is_a_fair_bet() -> None:
    """Under the null a window's likelihood ratio has a mean of 1: one window from nothing makes a mean evidence of 1."""
    detector, p = ErrorDetector(0.2, 1e-12), 0.2  # so that nothing is held back
    means = np.zeros(len(NONE))
    for wrong in range(EVIDENCE + 1):
        means += stats.binom.pmf(wrong, EVIDENCE, p) * np.array(detector.advance(NONE, wrong, EVIDENCE))
    assert means == pytest.approx(1.0)
    assert math.isclose(ErrorDetector(0.2, 0.001).threshold, math.log(1_000))


def test_a_model_that_is_always_wrong_can_get_no_worse() -> None:
    """Held-out rows that were all wrong leave nothing to detect, and nothing breaks."""
    detector = ErrorDetector.of(50, 50, rise=0.05, level=0.001)
    assert alarms(detector, [(100, 100)] * 100) == []
