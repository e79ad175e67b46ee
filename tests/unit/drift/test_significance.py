"""Which series of a window are further from the reference than chance allows."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.drift import category, numeric
from worker.drift.judged import judged
from worker.drift.layout import Layout
from worker.drift.nulls import SPANS, null_of
from worker.drift.profile import ReferenceProfile, Series
from worker.drift.significance import HIGHEST_KEPT, Finding, Past, Policy, Significance
from worker.drift.statistics import jensen_shannon
from worker.records import IntArray

RECORDS = 1_000
AMOUNT = np.array([0.02, 0, 0.01, 0.24, 0.24, 0.24, 0.24, 0.01])
COLOR = np.array([0, 0, 0.5, 0.3, 0.2])


def windows(seed: int, count: int, amount: np.ndarray[tuple[int], np.dtype[np.float64]] = AMOUNT) -> IntArray:
    """Counts by place in all bins of so many windows, a row each."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.multinomial(RECORDS, amount, count), rng.multinomial(RECORDS, COLOR, count)], axis=1)


def series_of(series: Series, blocks: IntArray, *, timed: bool = True) -> Series:
    nulls = {what: null for what, counts in judged(series, blocks).items() if (null := null_of(counts)) is not None}
    counts = tuple(blocks.sum(axis=0).tolist())
    return Series(series.name, series.kind, counts, series.edges, series.categories, nulls if timed else None)


def profile(*, timed: bool = True) -> ReferenceProfile:
    blocks, bins = windows(0, 60), len(AMOUNT)
    amount = series_of(numeric("amount", 0, 1, 2, 3, 4), blocks[:, :bins], timed=timed)
    color = series_of(category("color", "red", "green", "blue"), blocks[:, bins:], timed=timed)
    return ReferenceProfile((amount, color), 60, 60 * RECORDS)


PROFILE = profile()
SHIFTED = np.array([0.02, 0, 0.01, 0.19, 0.22, 0.26, 0.29, 0.01])


def significance(policy: Policy | None = None, known: ReferenceProfile = PROFILE) -> Significance:
    return Significance(Layout(known), policy or Policy())


def judge_all(judge: Significance, many: IntArray) -> tuple[list[list[Finding]], Past]:
    past, found = judge.fresh(), []
    for counts in many:
        findings, past = judge.judge(counts, past)
        found.append(findings)
    return found, past


def of(findings: list[Finding], name: str, what: str = "distribution") -> Finding:
    return next(one for one in findings if (one.judged.series.name, one.judged.what) == (name, what))


@pytest.mark.parametrize("timed", [True, False])
def test_windows_like_the_reference_are_not_significant(timed: bool) -> None:
    """Over 300 windows as the training data nothing scores above 1, with blocks and without."""
    found, _ = judge_all(significance(known=profile(timed=timed)), windows(1, 300))
    assert max(one.score for findings in found for one in findings) <= 1
    assert len(found[0]) == 5


def test_a_large_shift_is_found_in_one_window() -> None:
    """A window of another distribution scores above 1 alone, and no other series does."""
    found, _ = judge_all(significance(), windows(2, 1, np.roll(AMOUNT, -1)))
    drifted = [one for one in found[0] if one.score > 1]
    assert [(one.judged.series.name, one.judged.what, one.span) for one in drifted[:1]] == [
        ("amount", "distribution", 1)
    ]
    assert {one.judged.series.name for one in drifted} == {"amount"}


def test_a_small_shift_that_stays_is_found_smoothed() -> None:
    """What one window can't tell from chance, several together can, and the span says so."""
    quiet = significance(Policy(effect_floor=0))
    found, _ = judge_all(quiet, windows(3, 30, AMOUNT * 0.4 + SHIFTED * 0.6))
    amounts = [of(findings, "amount") for findings in found]
    first = next(i for i, one in enumerate(amounts) if one.score > 1)
    assert 0 < first < 29
    assert amounts[first].span > 1


def test_figures_of_a_window_alone() -> None:
    """Statistic, threshold and effect are what they are called."""
    policy = Policy(effect_floor=0.5)
    ((findings,), _) = judge_all(significance(policy), windows(2, 1, np.roll(AMOUNT, -1)))
    one = of(findings, "amount")
    assert one.statistic == pytest.approx(jensen_shannon(one.judged.reference, one.counts))
    assert one.threshold == 0.5 > one.null_quantile > 0
    assert one.score == pytest.approx(one.statistic / one.threshold)
    assert 0 < one.effect < one.statistic
    assert one.terms.sum() == pytest.approx(one.statistic**2)


def test_series_with_few_records_are_not_judged() -> None:
    """A feature that is all null in a window has a missing rate, and no finding of its distribution."""
    counts = windows(1, 1)[0]
    counts[: len(AMOUNT)] = [RECORDS, 0, 0, 0, 0, 0, 0, 0]
    judge = significance()
    findings, past = judge.judge(counts, judge.fresh())
    assert [(one.judged.series.name, one.judged.what) for one in findings][:2] == [
        ("amount", "missing"),
        ("color", "distribution"),
    ]
    assert of(findings, "amount", "missing").score > 1
    again, _ = judge.judge(windows(4, 1)[0], past)
    assert of(again, "amount").score <= 1


def test_smoothing_begins_with_the_reference() -> None:
    """A first window is one of many like the reference: smoothed, it is nearer to it by its weight."""
    judge = significance()
    counts = windows(2, 1, np.roll(AMOUNT, -1))[0]
    _, past = judge.judge(counts, judge.fresh())
    for span, smoothed in past.items():
        cells = smoothed.cells[:7]
        share = cells / cells.sum()
        reference, window = (np.array(one[1:8]) / sum(one[1:8]) for one in (PROFILE.series[0].counts, counts))
        weight = 2 / (span + 1)
        full = weight * window + (1 - weight) * reference
        part = (share - reference) / (full - reference)
        assert np.allclose(part, part[0], atol=0.01)
        assert 0 < part[0] <= 1.001


def test_smoothed_windows_are_as_so_many_together() -> None:
    """After a while the shares smoothed over a span vary as those of its windows' records together."""
    judge = significance()
    _, past = judge_all(judge, windows(1, 200))
    layout = Layout(PROFILE)
    for span, smoothed in past.items():
        color = [one.series.name for one in layout.judged].index("color")
        assert smoothed.equal_records(layout.sums(smoothed.cells))[color] == pytest.approx(span * RECORDS, rel=0.01)


def test_what_is_over_is_forgotten_soon() -> None:
    """After many windows wholly elsewhere smoothed scores are at their cap, and go down from there."""
    judge = significance()
    far = np.array([0, 0, 0, 0, 0, 0, 0, 1.0])
    found, past = judge_all(judge, windows(2, 50, far))
    assert of(found[-1], "amount").score > 2
    scores = []
    for counts in windows(5, 15):
        findings, past = judge.judge(counts, past)
        scores.append(of(findings, "amount").score)
    assert scores[0] <= HIGHEST_KEPT
    assert scores[0] > 0.9
    assert scores[-1] < 0.8


def test_a_lower_rate_is_a_higher_threshold() -> None:
    """The rate is of false episodes, so less of them is less power."""
    thresholds = []
    for rate in (0.01, 1, 100):
        ((findings,), _) = judge_all(significance(Policy(rate=rate, effect_floor=0)), windows(1, 1))
        thresholds.append(of(findings, "amount").threshold)
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[2]


def test_the_past_is_judged_by_what_json_kept() -> None:
    """The past is rounded when it is made: written down and read again it is the same numbers."""
    _, past = judge_all(significance(), windows(1, 5))
    assert set(past) == set(SPANS) - {1}
    for smoothed in past.values():
        assert smoothed.cells.tolist() == [float(repr(value)) for value in smoothed.cells.tolist()]
        assert np.array_equal(smoothed.cells, np.round(smoothed.cells, 2))
