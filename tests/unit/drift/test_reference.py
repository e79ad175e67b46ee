"""Making the reference profile: edges, categories, what is left out, and nulls by blocks."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drift import bin_of
from worker.columns import Column, Columns, NumberColumn, Scores, TextColumn, VectorColumn
from worker.drift.profile import FIRST_NUMERIC, LABEL, SCORE, ReferenceProfile, Series
from worker.drift.reference import BINS, CATEGORIES, LEAST_BLOCK_RECORDS, quantile_edges, reference_of
from worker.drift.statistics import jensen_shannon

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def profiled(column: Column, **more: Any) -> ReferenceProfile:
    return reference_of(Columns({"x": column}, len(column)), Scores(np.zeros(len(column))), **more)


def series(profile: ReferenceProfile, name: str = "x") -> Series:
    return next(one for one in profile.series if one.name == name)


def test_quantiles() -> None:
    """Of many different values each bin holds about as many."""
    values = np.random.default_rng(1).normal(size=16_000)
    made = series(profiled(NumberColumn(values)))
    assert len(made.edges) == BINS + 1
    assert (made.edges[0], made.edges[-1]) == (values.min(), values.max())
    assert made.counts[:FIRST_NUMERIC] == (0, 0, 0)
    assert made.counts[-1] == 0
    assert max(abs(count - 1_000) for count in made.counts[FIRST_NUMERIC:-1]) <= 1


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([7.0] * 5, (7.0, math.nextafter(7, 8))),
        ([7.0], (7.0, math.nextafter(7, 8))),
        ([0.0] * 90 + [0.1, 0.2, 5.0] * 3, (0.0, 0.1, 5.0)),
        ([1.0] * 5 + [10.0] * 95, (1.0, 10.0, math.nextafter(10, 11))),
        ([0, 1] * 50, (0.0, 1.0, math.nextafter(1, 2))),
        (
            [math.nextafter(math.inf, 0)] * 3,
            (math.nextafter(math.nextafter(math.inf, 0), 0), math.nextafter(math.inf, 0)),
        ),
        ([], ()),
    ],
    ids=["constant", "one row", "mostly 0", "mostly the highest", "two values", "the largest float", "none"],
)
def test_values_that_are_frequent(values: list[float], edges: tuple[float, ...]) -> None:
    """A frequent value has a bin of its own."""
    assert quantile_edges(np.array(values, np.float64)) == edges


@given(st.lists(FLOATS | st.sampled_from([0.0, -0.0, 1.0]), min_size=1, max_size=60))
def test_edges_hold_all(values: list[float]) -> None:
    """Edges ascend, are finite, and none of the values is outside of them."""
    edges = quantile_edges(np.array(values))
    assert len(edges) >= 2
    assert list(edges) == sorted(set(edges))
    assert all(map(math.isfinite, edges))
    assert edges[0] <= min(values) <= max(values) <= edges[-1]


def test_missing_and_not_finite() -> None:
    """Missing values and NaN have bins of their own, infinite ones are below and above; none of them makes an edge."""
    values = np.array([1.0, 2.0, 3.0, 0.0, math.nan, math.inf, math.inf, -math.inf])
    null = np.array([False] * 3 + [True] + [False] * 4)
    made = series(profiled(NumberColumn(values, null)))
    assert (made.edges[0], made.edges[-1] < 3.1) == (1.0, True)
    assert made.counts[:FIRST_NUMERIC] == (1, 1, 1)
    assert made.counts[-1] == 2
    assert sum(made.counts) == 8


def test_categories() -> None:
    """The most frequent are known, the first by name among equals; the others are other."""
    values = [f"v{i:02}" for i in range(40) for _ in range(3 + (i % 2))] + [None] * 5
    made = series(profiled(TextColumn.of(values)))
    assert made.categories == (*(f"v{i:02}" for i in range(1, 40, 2)), *(f"v{i:02}" for i in range(0, 24, 2)))
    assert len(made.categories) == CATEGORIES
    assert made.counts[:2] == (5, 8 * 3)
    assert Counter(bin_of(made, value) for value in values) == Counter(dict(enumerate(made.counts)))


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (TextColumn.of([f"id-{i}" for i in range(50)]), "as those of an id"),
        (TextColumn.of([None, None]), "no value"),
        (TextColumn.of([b"a", b"a", b"a"], is_bytes=True), "bytes"),
        (NumberColumn(np.zeros(2), np.ones(2, np.bool_)), "no number"),
        (NumberColumn(np.array([math.nan, math.inf])), "no number"),
        (VectorColumn.of([[1.0] * 9], np.float64), "up to 8"),
        (VectorColumn.of([[1.0], [1.0, 2.0]], np.float64), "one length"),
        (VectorColumn.of([None], np.float64), "one length"),
    ],
)
def test_left_out(column: Column, why: str) -> None:
    """A column that is no sensible series has none, and the profile says why."""
    profile = profiled(column)
    assert [one.name for one in profile.series] == [SCORE]
    assert why in profile.left_out["x"]


def test_vectors() -> None:
    """Of a short vector each item is a series, missing where the vector is null."""
    profile = profiled(VectorColumn.of([[1.0, 5.0], None, [2.0, 5.0]], np.float64))
    assert [one.name for one in profile.series] == ["x[0]", "x[1]", SCORE]
    assert series(profile, "x[1]").edges == (5.0, math.nextafter(5, 6))
    assert series(profile, "x[1]").counts == (1, 0, 0, 2, 0)


def test_outputs_of_the_model() -> None:
    """Scores and labels are series, and a class that no row has is known all the same."""
    scores = Scores(np.array([0.1, 0.9, 0.8]), ("no", "yes", "never"), np.array([0, 1, 1]))
    profile = reference_of(Columns({}, 3), scores)
    assert series(profile, SCORE).edges[0] == 0.1
    label = series(profile, LABEL)
    assert (label.categories, label.counts) == (("yes", "no", "never"), (0, 0, 2, 1, 0))


def test_nulls() -> None:
    """Each block of the training time that is long enough is held against all the others, in the order of time."""
    random = np.random.default_rng(2)
    sizes = [200, LEAST_BLOCK_RECORDS, 150, LEAST_BLOCK_RECORDS - 1]
    block = np.repeat([3, 1, 7, 9], sizes)
    order = random.permutation(len(block))
    values, times = random.normal(block / 10)[order], (block * 60_000 + random.integers(0, 60_000, len(block)))[order]
    profile = profiled(NumberColumn(values), times_ms=times, window_seconds=60)
    made = series(profile)
    assert made.nulls is not None
    counts = {
        one: np.bincount([bin_of(made, value) for value in values[times // 60_000 == one]], minlength=made.bins)[1:]
        for one in (1, 3, 7)
    }
    rest = {one: sum(other for two, other in counts.items() if two != one) for one in counts}
    assert made.nulls["distribution"].values == pytest.approx([jensen_shannon(counts[b], rest[b]) for b in counts])
    assert made.nulls["missing"].values == (0, 0, 0)
    assert made.nulls["distribution"].block_records == 150
    assert sum(made.counts) == len(values)


@pytest.mark.parametrize("times", [None, np.zeros(300, np.int64)], ids=["no times", "one block"])
def test_no_nulls(times: Any) -> None:
    """Without times, or all in one block, nothing is known of how windows differ by themselves."""
    assert series(profiled(NumberColumn(np.arange(300.0)), times_ms=times)).nulls is None


def test_as_text() -> None:
    """A profile is read as it was written."""
    texts = TextColumn.of(["a", "b", None] * 200)
    columns = Columns(
        {"t": texts, "n": NumberColumn(np.arange(600)), "id": TextColumn.of(list(map(str, range(600))))}, 600
    )
    times = np.arange(600) * 1_000
    profile = reference_of(columns, Scores(np.arange(600.0)), times_ms=times, window_seconds=200)
    assert ReferenceProfile.from_json(profile.to_json()) == profile
