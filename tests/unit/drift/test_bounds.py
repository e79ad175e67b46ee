"""How far a window may be from the reference where nothing has drifted."""

import numpy as np
import pytest
from scipy import stats

from worker.drift.bounds import Bounds, dependence, fewness
from worker.drift.nulls import SPANS, null_of
from worker.drift.profile import Null
from worker.drift.statistics import jensen_shannon_distances
from worker.records import FloatArray, IntArray

LEVEL = 1e-3
ONE = np.ones(1)


def bound(
    null: Null | None, records: float, *, freedom: float = 1, span: int = 1, level: float = LEVEL, few: float = 0
) -> float:
    return float(Bounds(span, [null], freedom * ONE, 1e6 * ONE, level).distance(records * ONE, few * ONE)[0])


@pytest.mark.parametrize("level", [1e-3, 1e-6])
@pytest.mark.parametrize("rate", [1e-4, 1e-3, 0.01, 0.014, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("records", [100, 1_000, 20_000])
def test_independent_rates_stay_below_it(rate: float, records: int, level: float) -> None:
    """Of a missing rate, exactly by the binomial: what lies beyond the bound is hardly likelier than the level."""
    counts = np.arange(records + 1)
    windows = np.stack([counts, records - counts], axis=-1)
    distances = jensen_shannon_distances([1e6 * rate, 1e6 * (1 - rate)], windows)
    few = fewness(records * np.array([rate, 1 - rate])).sum()
    beyond = distances > bound(None, records, level=level, few=few)
    assert stats.binom.pmf(counts, records, rate)[beyond].sum() <= 1.3 * level
    assert beyond[-1]


def test_independent_histograms_stay_below_it_at_the_level() -> None:
    """Of 20 bins of different sizes the level is kept, and not by far too much."""
    shares = np.random.default_rng(1).dirichlet(np.full(20, 2.0))
    windows = np.random.default_rng(2).multinomial(1_000, shares, 40_000)
    limit = bound(None, 1_000, freedom=19, level=0.01, few=fewness(1_000 * shares).sum())
    assert 0.001 < np.mean(jensen_shannon_distances(1e6 * shares, windows) > limit) < 0.01


def wandering(seed: int, blocks: int) -> IntArray:
    """Histograms of which each has a mean of its own: the same in all its records."""
    rng = np.random.default_rng(seed)
    edges = stats.norm.ppf(np.linspace(0, 1, 9))
    means = rng.normal(0, 0.3, blocks)
    shares = np.diff(stats.norm.cdf(edges[None, :] - means[:, None]), axis=1)
    return rng.multinomial(2_000, shares)


def test_windows_that_wander_as_the_blocks_did_stay_below_it() -> None:
    """Over many training periods of 40 blocks a further window is beyond the bound at the level at most."""
    level, beyond, windows = 0.01, 0, 0
    for seed in range(150):
        counts = wandering(seed, 240)
        training, further = counts[:40], counts[40:]
        total = training.sum(axis=0)
        limit = Bounds(1, [null_of(training)], 7 * ONE, total.sum() * ONE, level).distance(2_000 * ONE, 0 * ONE)[0]
        beyond += int((jensen_shannon_distances(total, further) > limit).sum())
        windows += len(further)
    assert beyond / windows <= level


def test_the_bound_of_independence_is_too_low_for_them() -> None:
    """By sample size alone most such windows would be beyond it."""
    counts = wandering(1, 240)
    total = counts[:40].sum(axis=0)
    assert np.mean(jensen_shannon_distances(total, counts[40:]) > bound(None, 2_000, freedom=7)) > 0.6


def null(values: FloatArray, records: float = 1_000, kept: float = 1.0) -> Null:
    rms = float(np.sqrt(np.mean(values**2)))
    return Null(tuple(values.tolist()), records, {span: kept * rms for span in SPANS if span > 1})


VALUES = np.abs(np.random.default_rng(3).normal(0, 0.1, 600))


def test_more_blocks_say_more() -> None:
    """The same blocks again and again make the bound narrower, and few make it wide."""
    bounds = [bound(null(np.resize(VALUES[:20], blocks)), 1_000) for blocks in (5, 20, 200)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > 1.5 * bounds[2]


def test_blocks_in_long_runs_say_less() -> None:
    """Blocks that resemble their neighbours count for fewer: the bound is wider than of the same in another order."""
    assert bound(null(np.sort(VALUES[:60])), 1_000) > 1.2 * bound(null(VALUES[:60]), 1_000)


def test_fewer_records_wander_more() -> None:
    """A window with fewer records than the blocks had may be further away; one with more may not be any nearer."""
    few, same, many = (bound(null(VALUES), records) for records in (100, 1_000, 50_000))
    assert few > 2 * same
    assert many > 0.9 * same


def test_smoothed_windows_may_be_as_far_as_smoothed_blocks_were() -> None:
    """What smoothing left of the blocks' distances is left of the bound, and no less than if blocks were independent."""
    alone, as_far, less, independent = (
        bound(null(VALUES, 1e6), 9e6, span=9),
        bound(null(VALUES, 1e6, kept=1.0), 9e6, span=9),
        bound(null(VALUES, 1e6, kept=0.6), 9e6, span=9),
        bound(null(VALUES, 1e6, kept=0.01), 9e6, span=9),
    )
    assert alone == as_far
    assert as_far > less > independent
    assert independent == pytest.approx(bound(null(VALUES, 1e6), 1e6) / 3, rel=0.1)


def test_a_span_needs_blocks() -> None:
    """Windows smoothed over more than there are blocks are not judged: nothing is beyond 1."""
    assert bound(null(VALUES[:30]), 1_000, span=39) == 1
    assert bound(null(VALUES[:60]), 1_000, span=39) < 1
    assert bound(None, 1_000, span=39) < 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_blocks_all_alike(value: float) -> None:
    """Blocks exactly as the rest leave sampling alone; blocks that have nothing in common leave nothing to judge."""
    found = bound(null(np.full(60, value)), 1_000)
    assert found == pytest.approx(1, abs=1e-6) if value else found < bound(None, 1_000, level=LEVEL / 10)


def test_dependence() -> None:
    """About 1 or 2 (the caution) of independent values and of a swing that comes and goes, many of a slow one."""
    rng = np.random.default_rng(4)
    independent = [dependence(rng.normal(size=60)) for _ in range(200)]
    assert 1 <= np.median(independent) < 2
    assert dependence(np.sin(np.arange(60) * 2 * np.pi / 12)) == 1
    slow = [dependence(np.cumsum(rng.normal(size=60))) for _ in range(50)]
    assert np.median(slow) > 8
    assert dependence(np.ones(10)) == 1
