"""The size of the next batch: within the target, the memory bound and what was tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.pipeline.batching import FIRST_BATCH_RECORDS, SMALLEST_BATCH_RECORDS, BatchingPolicy, BatchSize, CostCurve

POLICY = BatchingPolicy(0.05, max_batch_records=10_000, max_batch_bytes=1_000_000)


def settled(fixed: float, each: float, policy: BatchingPolicy = POLICY) -> int:
    """The size that full batches of cost ``fixed + each·n`` end up with."""
    size = BatchSize(policy)
    for _ in range(100):
        n = size.limit().max_records
        size = size.after(n, n * 10, fixed + each * n, fixed)
    return size.limit().max_records


def test_first() -> None:
    """The first batch is of a moderate size, within the limits."""
    assert BatchSize(POLICY).limit().max_records == FIRST_BATCH_RECORDS
    assert BatchSize(replace(POLICY, max_batch_records=10)).limit().max_records == 10


@pytest.mark.parametrize(("fixed", "each"), [(0.01, 1e-5), (0.005, 1e-4), (0.0, 2e-5)])
def test_meets_the_target(fixed: float, each: float) -> None:
    """Under a backlog batches settle close below the latency target."""
    taken = fixed + each * settled(fixed, each)
    assert 0.7 * 0.05 <= taken <= 1.05 * 0.05


def test_grows_to_the_maximum() -> None:
    """Where batches are quick the maximum is reached."""
    assert settled(0.001, 1e-7) == 10_000


def test_slow_transactions() -> None:
    """Where the fixed part alone takes the target, the records get half of it: smaller batches would not be quicker."""
    assert 100 <= settled(0.2, 1e-4) <= 400


def test_never_too_small() -> None:
    """However slow the model is, a batch is no smaller than the smallest that is worth a transaction."""
    assert settled(0.0, 1.0) == SMALLEST_BATCH_RECORDS


def test_memory_bound() -> None:
    """Large records make small batches, down to one."""
    assert BatchSize(POLICY).after(10, 10 * 100_000, 0.001, 0.0).limit().max_records == 10
    assert BatchSize(POLICY).after(1, 5_000_000, 0.001, 0.0).limit().max_records == 1


def test_grows_only_when_full() -> None:
    """A batch that was not full says nothing about larger ones."""
    before = BatchSize(POLICY)
    assert before.after(3, 30, 1e-6, 0.0).records == before.records
    assert before.after(FIRST_BATCH_RECORDS, 2_560, 0.001, 0.0).records == 2 * FIRST_BATCH_RECORDS


@given(
    st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 10**8), st.just(0.0) | st.floats(1e-9, 100)), max_size=30)
)
def test_always_sane(batches: list[tuple[int, int, float]]) -> None:
    """Whatever the batches were like, the next is of at least one record and within the limits."""
    size = BatchSize(POLICY)
    for records, size_bytes, seconds in batches:
        size = size.after(records, size_bytes, seconds, seconds / 3)
        assert 1 <= size.limit().max_records <= POLICY.max_batch_records


def test_nothing_learned() -> None:
    """Before any batch the cost is unknown."""
    assert CostCurve().fit() == (0.0, 0.0)


def test_learns_the_curve() -> None:
    """From batches of different sizes both parts of the cost are found."""
    curve = CostCurve()
    for n in [100, 1_000, 4_000, 200, 2_000] * 4:
        curve = curve.after(n, 0.01 + 2e-5 * n, 0.0)
    fixed, each = curve.fit()
    assert fixed == pytest.approx(0.01, rel=0.1)
    assert each == pytest.approx(2e-5, rel=0.1)
