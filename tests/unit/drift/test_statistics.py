"""Statistics of binned counts, against scipy's of the values that were binned."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from worker.drift import statistics

BINS = 16
Counts = list[int]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Counts, Counts]:
    """Two histograms of the same bins, each with a record at least."""
    bins = draw(st.integers(2, 12))
    counts = st.lists(st.integers(0, 1_000) | st.just(0), min_size=bins, max_size=bins).filter(any)
    return draw(counts), draw(counts)


class Samples:
    """Two samples, and their counts below, between and above the quantiles of the first."""

    def __init__(self, seed: int, draw: str, shift: float) -> None:
        rng = np.random.default_rng(seed)
        self.reference = getattr(rng, draw)(size=30_000)
        self.window = getattr(rng, draw)(size=2_000) + shift
        self.edges = np.quantile(self.reference, np.linspace(0, 1, BINS + 1))
        self.edges[[0, -1]] = [-40.0, 40.0]
        self.p, self.q = self.counts(self.reference), self.counts(self.window)

    def counts(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.histogram(values, np.concatenate(([-np.inf], self.edges, [np.inf])))[0]


SAMPLES = [
    Samples(seed, draw, shift)
    for seed, (draw, shift) in enumerate(
        [(d, s) for d in ("standard_normal", "standard_exponential") for s in (0.0, 0.3, -1.0)]
    )
]
every_sample = pytest.mark.parametrize("samples", SAMPLES)


@given(pairs())
def test_jensen_shannon_is_scipys(pair: tuple[Counts, Counts]) -> None:
    """On counts it is scipy's distance, symmetric, between 0 (of equals, exactly) and 1."""
    p, q = pair
    found = statistics.jensen_shannon(p, q)
    # scipy takes the root of what rounding leaves of differences; ours are sums of what is not negative.
    assert found**2 == pytest.approx(np.nan_to_num(distance.jensenshannon(p, q, 2)) ** 2, abs=1e-12)
    assert found == pytest.approx(statistics.jensen_shannon(q, p), abs=1e-9)
    assert 0 <= found <= 1
    assert statistics.jensen_shannon(p, p) == 0
    assert statistics.jensen_shannon(np.multiply(p, 7), p) == pytest.approx(0, abs=1e-7)


def test_extremes_of_jensen_shannon() -> None:
    """Without a bin in common it is 1; an empty side is not a number; many at once are the same as one by one."""
    assert statistics.jensen_shannon([5, 0], [0, 1]) == 1
    assert np.isnan(statistics.jensen_shannon([5, 1], [0, 0]))
    rng = np.random.default_rng(1)
    p, many = rng.integers(1, 99, 7), rng.integers(0, 99, (20, 7))
    assert statistics.jensen_shannon_distances(p, many).tolist() == [statistics.jensen_shannon(p, q) for q in many]


@given(pairs())
def test_chi_squared_is_scipys(pair: tuple[Counts, Counts]) -> None:
    """Statistic and p value are scipy's of the two rows of counts."""
    table = np.array(pair)[:, np.any(pair, 0)]
    expected = stats.chi2_contingency(table, correction=False) if table.shape[1] > 1 else None
    statistic, p_value = statistics.chi_squared(*pair)
    assert statistic == pytest.approx(expected.statistic if expected else 0, abs=1e-9)
    assert p_value == pytest.approx(expected.pvalue if expected else 1, abs=1e-12)


@given(pairs())
def test_divergences_bound_each_other(pair: tuple[Counts, Counts]) -> None:
    """Hellinger and Jensen-Shannon hold their known inequalities (Lin 1991, Topsøe 2000)."""
    jensen, hellinger = statistics.jensen_shannon(*pair), float(statistics.hellinger(*pair))
    assert hellinger**2 - 1e-9 <= jensen**2 <= 2 * hellinger**2 / np.log(2) + 1e-9
    assert statistics.psi(*pair) >= 0


def test_psi_of_small_shifts() -> None:
    """PSI is 8 ln 2 times the divergence in bits where shares differ little, and finite where a bin is empty."""
    p, q = np.array([1000, 1010, 990]), np.array([1003, 1000, 997])
    assert statistics.psi(p, q) == pytest.approx(8 * np.log(2) * statistics.jensen_shannon(p, q) ** 2, rel=0.01)
    assert statistics.psi([100, 0], [50, 50]) == pytest.approx(-0.5 * np.log(0.5) + (0.5 - 1e-4) * np.log(0.5 / 1e-4))


@every_sample
def test_kolmogorov_smirnov_within_the_binning_error(samples: Samples) -> None:
    """It is below that of the values, by no more than a bin's share."""
    unbinned = stats.ks_2samp(samples.reference, samples.window).statistic
    found = float(statistics.kolmogorov_smirnov(samples.p, samples.q))
    bin_share = max((samples.p / samples.p.sum()).max(), (samples.q / samples.q.sum()).max())
    assert unbinned - bin_share <= found <= unbinned + 1e-12


@every_sample
def test_wasserstein_within_the_binning_error(samples: Samples) -> None:
    """It differs from that of the values by no more than half a bin's width a record on each side."""
    unbinned = stats.wasserstein_distance(samples.reference, samples.window)
    found = float(statistics.wasserstein(samples.p, samples.q, samples.edges))
    widths = np.concatenate(([0], np.diff(samples.edges), [0]))
    bound = sum(float((counts / counts.sum() * widths).sum()) / 2 for counts in (samples.p, samples.q))
    assert abs(found - unbinned) <= bound


def test_wasserstein_of_records_spread_in_their_bins() -> None:
    """Of records that lie evenly within their bins it is scipy's, crossing distribution functions included."""
    edges = np.array([0.0, 1.0, 3.0, 4.0])
    p, q = [0, 300, 0, 100, 0], [0, 100, 300, 0, 0]
    even = np.linspace(0, 1, 4001)[:-1] + 1 / 8000
    spread = [np.concatenate([low + even * (high - low) for low, high in itertools.pairwise(edges)])] * 2
    weights = [np.repeat(counts[1:-1], 4000) for counts in (p, q)]
    assert statistics.wasserstein(p, q, edges) == pytest.approx(stats.wasserstein_distance(*spread, *weights), rel=1e-3)


def test_mean_shift() -> None:
    """A sample moved by half a standard deviation is found to be, to the bins' width; a constant reference says 0."""
    rng = np.random.default_rng(3)
    edges = np.linspace(-5, 5, 101)
    outer = np.concatenate(([-np.inf], edges, [np.inf]))
    p, q = (np.histogram(rng.normal(mean, 1, 50_000), outer)[0] for mean in (0, 0.5))
    assert statistics.mean_shift(p, q, edges) == pytest.approx(0.5, abs=0.02)
    assert statistics.mean_shift([0, 10, 0, 0], [0, 0, 10, 0], [0, 1, 2]) == 0
