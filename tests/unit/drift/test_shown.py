"""Other statistics, for people."""

import numpy as np
import pytest

from tests.support.drift import category, numeric
from worker.drift.layout import Judged
from worker.drift.profile import Series
from worker.drift.shown import shown
from worker.drift.statistics import kolmogorov_smirnov, mean_shift, psi

AMOUNT = numeric("amount", 0, 1, 2)
REFERENCE = np.array([3, 2, 50, 40, 5])
NOW = np.array([0, 1, 30, 60, 9])


def of(series: Series, what: str, reference: list[int]) -> Judged:
    return Judged(series, what, slice(0, len(reference)), np.array(reference))


def test_numbers() -> None:
    """Ordered statistics leave NaN out, which has no order; all are finite."""
    found = shown(of(AMOUNT, "distribution", REFERENCE.tolist()), NOW)
    assert set(found) == {
        *("psi", "hellinger", "chi_squared", "chi_squared_p"),
        *("kolmogorov_smirnov", "wasserstein", "mean_shift"),
    }
    assert found["psi"] == pytest.approx(psi(REFERENCE, NOW))
    assert found["kolmogorov_smirnov"] == pytest.approx(kolmogorov_smirnov(REFERENCE[1:], NOW[1:]))
    assert found["mean_shift"] == pytest.approx(mean_shift(REFERENCE[1:], NOW[1:], [0, 1, 2]))


def test_a_window_of_nan_alone() -> None:
    """Without a number there is no order to speak of."""
    found = shown(of(AMOUNT, "distribution", REFERENCE.tolist()), np.array([9, 0, 0, 0, 0]))
    assert set(found) == {"psi", "hellinger", "chi_squared", "chi_squared_p"}


def test_categories_and_rates() -> None:
    """Categories have no order; of a rate both rates are shown."""
    color = category("color", "red", "blue")
    assert "wasserstein" not in shown(of(color, "distribution", [0, 5, 5]), np.array([1, 2, 3]))
    assert shown(of(color, "unseen", [0, 10]), np.array([1, 3])) == {"rate": 0.25, "reference_rate": 0.0}
