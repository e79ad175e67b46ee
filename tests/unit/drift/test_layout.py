"""All that is judged, laid side by side."""

import numpy as np

from tests.support.drift import category, numeric, profile_of
from worker.drift.judged import judged
from worker.drift.layout import Layout
from worker.drift.profile import ReferenceProfile, Series

RNG = np.random.default_rng(1)


def with_counts(series: Series, counts: list[int]) -> Series:
    return Series(series.name, series.kind, tuple(counts), series.edges, series.categories)


AMOUNT = with_counts(numeric("amount", 0, 1, 2), [5, 0, 1, 20, 30, 2])
COLOR = with_counts(category("color", "red", "blue"), [0, 3, 50, 40])
EMPTY = with_counts(numeric("empty", 0, 1), [90, 0, 0, 0, 0])
PROFILE = ReferenceProfile((AMOUNT, EMPTY, COLOR), 60, 93)


def test_cells_are_what_is_judged_of_each_series() -> None:
    """The cells of a window are those of its series one by one, in the profile's order."""
    layout = Layout(PROFILE)
    counts = RNG.integers(0, 50, AMOUNT.bins + EMPTY.bins + COLOR.bins)
    own = {
        "amount": counts[: AMOUNT.bins],
        "empty": counts[AMOUNT.bins : AMOUNT.bins + EMPTY.bins],
        "color": counts[AMOUNT.bins + EMPTY.bins :],
    }
    cells = layout.cells(counts)
    for one in layout.judged:
        assert cells[one.cells].tolist() == judged(one.series, own[one.series.name])[one.what].tolist()
        assert layout.reference[one.cells].tolist() == one.reference.tolist()
        assert len(one.labels()) == len(one.reference)
    assert sum(len(one.reference) for one in layout.judged) == len(cells)


def test_what_the_training_data_had_none_of_is_not_judged() -> None:
    """A feature that was always missing has a missing rate, and no distribution to hold a window against."""
    found = [(one.series.name, one.what) for one in Layout(PROFILE).judged]
    assert found == [
        ("amount", "distribution"),
        ("amount", "missing"),
        ("empty", "missing"),
        ("color", "distribution"),
        ("color", "missing"),
        ("color", "unseen"),
    ]


def test_counts_may_end_early() -> None:
    """Places above the highest that was counted hold nothing."""
    layout = Layout(PROFILE)
    counts = np.array([1, 0, 0, 7], np.int64)
    whole = np.concatenate((counts, np.zeros(AMOUNT.bins + EMPTY.bins + COLOR.bins - 4, np.int64)))
    assert layout.cells(counts).tolist() == layout.cells(whole).tolist()
    assert layout.sums(layout.cells(counts)).tolist() == [7, 8, 0, 0, 0, 0]


def test_shares_are_of_each_judged_series() -> None:
    """They add up to 1 in each, and are 0 where it has no record."""
    layout = Layout(PROFILE)
    assert np.allclose(layout.sums(layout.shares(layout.reference)), 1)
    assert layout.shares(layout.cells(np.zeros(3, np.int64))).tolist() == [0] * len(layout.reference)


def test_a_profile_of_nothing() -> None:
    """A profile without series lays out nothing, and breaks nothing."""
    layout = Layout(profile_of())
    assert layout.judged == ()
