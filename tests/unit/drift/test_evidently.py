"""Statistics against Evidently's, where its definitions are the same: in an environment that has it (``make bench-peers``)."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.drift import statistics

pytest.importorskip("evidently", reason="Evidently is not installed: make bench-peers")
pd: Any = importlib.import_module("pandas")
TESTS: Any = importlib.import_module("evidently.legacy.calculations.stattests")
TYPES: Any = importlib.import_module("evidently.legacy.core").ColumnType
COUNTS = st.lists(st.integers(1, 60), min_size=5, max_size=5)


def theirs(test: Any, reference: Any, window: Any, kind: Any) -> float:
    return float(test.func(pd.Series(reference), pd.Series(window), kind, 0.1)[0])


def categories(counts: list[int]) -> list[str]:
    return [f"level {i}" for i, count in enumerate(counts) for _ in range(count)]


@settings(deadline=None, max_examples=50)
@given(p=COUNTS, q=COUNTS)
def test_of_categories(p: list[int], q: list[int]) -> None:
    """Of categories the Jensen-Shannon distance (theirs is in nats), PSI and Hellinger's distance are the same."""
    sides = categories(p), categories(q), TYPES.Categorical
    in_nats = theirs(TESTS.jensenshannon_stat_test, *sides)
    assert statistics.jensen_shannon(p, q) == pytest.approx(in_nats / np.sqrt(np.log(2)), abs=1e-6)
    assert float(statistics.psi(p, q)) == pytest.approx(theirs(TESTS.psi_stat_test, *sides), abs=1e-9)
    assert float(statistics.hellinger(p, q)) == pytest.approx(theirs(TESTS.hellinger_stat_test, *sides), abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_of_numbers(shift: float) -> None:
    """Of numbers Wasserstein's distance is theirs, in deviations of the reference, to half a bin's width a side."""
    rng = np.random.default_rng(1)
    reference, window = rng.normal(0, 2, 20_000), rng.normal(2 * shift, 2, 5_000)
    edges = np.linspace(-20, 20, 201)
    outer = np.concatenate(([-np.inf], edges, [np.inf]))
    p, q = (np.histogram(values, outer)[0] for values in (reference, window))
    found = float(statistics.wasserstein(p, q, edges)) / reference.std()
    expected = theirs(TESTS.wasserstein_stat_test, reference, window, TYPES.Numerical)
    assert found == pytest.approx(expected, abs=0.2 / 2)
