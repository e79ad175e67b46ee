"""Rates to processes, partitions and memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planning.samples import settings
from worker.planning import Load, Plan, memory_of, plan_for
from worker.planning.sizing import MIB


def test_an_example() -> None:
    """20,000 a second of 10,000 each at 70 % are 3 processes; five minutes made up for in ten are a half more, at full load."""
    assert plan_for(Load(20_000, 10_000)) == Plan(least=2, steady=3, most=3, partitions=6, backlog=6_000_000)
    assert plan_for(Load(20_000, 10_000, catch_up_seconds=60)).most == math.ceil((20_000 + 6_000_000 / 60) / 10_000)


@pytest.mark.parametrize(("most", "partitions"), [(1, 2), (5, 12), (7, 18), (61, 180), (100, 240)])
def test_partitions_divide_evenly(most: int, partitions: int) -> None:
    """Partitions are twice the processes, rounded up to a number that many counts of processes divide."""
    assert plan_for(Load(most * 0.7, 1.0, outage_seconds=0)).partitions == partitions


RATES = st.floats(1, 1e6)


@given(peak=RATES, per_process=RATES, outage=st.floats(0, 1e4), catch_up=st.floats(1, 1e4), share=st.floats(0.05, 1))
def test_a_plan_keeps_its_promise(
    peak: float, per_process: float, outage: float, catch_up: float, share: float
) -> None:
    """The peak is served within the share of time, the backlog is gone in time, and partitions suffice for all."""
    plan = plan_for(Load(peak, per_process, outage, catch_up, share))
    slack = 1 - 1e-9
    assert plan.steady * per_process * share >= peak * slack
    assert (plan.most * per_process - peak) * catch_up >= (peak * outage) * slack - 1e-6
    assert plan.least <= plan.most
    assert plan.steady <= plan.most <= plan.partitions


def test_memory_is_what_was_measured() -> None:
    """For the events of the benchmarks the estimate is within a fifth of the 216 MB that a worker had at full load."""
    memory = memory_of(settings(), record_bytes=200, bundle_bytes=10_000)
    assert 216 * 0.9 <= memory.need / MIB <= 216 * 1.2
    assert memory.limit >= 1.5 * memory.need
    assert memory.limit % (64 * MIB) == 0


def test_memory_grows_with_what_takes_it() -> None:
    """Larger batches, models and smaller records, of which more wait, take more."""
    plain = memory_of(settings(), record_bytes=200, bundle_bytes=0)
    assert memory_of(settings(), record_bytes=200, bundle_bytes=10 * MIB).need == plain.need + 30 * MIB
    larger = memory_of(settings(WORKER_DELIVERY__MAX_BATCH_RECORDS="20000"), record_bytes=200, bundle_bytes=0)
    assert larger.batch == 2 * plain.batch
    assert memory_of(settings(), record_bytes=100, bundle_bytes=0).prefetch > plain.prefetch
