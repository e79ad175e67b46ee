"""Dead-letter limits really stop the worker, and stay stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.component.worker_rig import Rig, event, loan, work
from tests.contract.edges import InMemoryEdges
from worker.errors import DeadLetterLimit, TransportError
from worker.pipeline.batching import BatchingPolicy
from worker.pipeline.limits import LimitPolicy
from worker.pipeline.partition_state import PartitionState
from worker.records import TopicPartition
from worker.testing import RecordingObserver

RATIO = LimitPolicy("digest-1", max_ratio=0.5, window_records=20, max_consecutive=0)
IN_A_ROW = LimitPolicy("digest-1", max_ratio=1, max_consecutive=10)
BATCHES_OF_4 = BatchingPolicy(1, max_batch_records=4, max_batch_bytes=1_000_000)


@pytest.fixture
def rig() -> Rig:
    return Rig(InMemoryEdges(), "group")


def until_stopped(rig: Rig, limits: LimitPolicy) -> int:
    """The number of records that a worker, started anew, gets delivered before the limit stops it."""
    observer = RecordingObserver()
    worker = rig.worker(limits=limits, batching=BATCHES_OF_4, observer=observer)
    with pytest.raises(DeadLetterLimit) as caught:
        worker.run()
    assert caught.value.hint
    return sum(report.records for report in observer.reports)


def one_batch_each(rig: Rig, limits: LimitPolicy, workers: int) -> None:
    """Workers one after another, each ended after its first batch."""
    for _ in range(workers):
        worker = rig.worker(limits=limits, batching=BATCHES_OF_4)
        worker.run_once()
        worker.source.close()


@pytest.mark.parametrize("limits", [RATIO, IN_A_ROW], ids=["ratio", "in a row"])
def test_trips(rig: Rig, limits: LimitPolicy) -> None:
    """Where all records are refused the worker stops, and nothing past the stop is committed or visible."""
    rig.write([event(loan(n, age=5)) for n in range(100)])
    delivered = until_stopped(rig, limits)
    assert 0 < delivered < limits.window_records + limits.max_consecutive
    assert rig.committed() == {0: delivered}
    assert rig.refused() == [(0, n) for n in range(delivered)]


@pytest.mark.parametrize("limits", [RATIO, IN_A_ROW], ids=["ratio", "in a row"])
def test_stays_stopped(rig: Rig, limits: LimitPolicy) -> None:
    """Restarted it makes no progress, however often."""
    rig.write([event(loan(n, age=5)) for n in range(100)])
    delivered = until_stopped(rig, limits)
    assert [until_stopped(rig, limits) for _ in range(5)] == [0] * 5
    assert rig.committed() == {0: delivered}
    assert len(rig.refused()) == delivered


def test_slices_over_restarts(rig: Rig) -> None:
    """Restarting after each batch does not get round the limit: the counters travel with the offsets."""
    rig.write([event(loan(n, age=5)) for n in range(100)])
    with pytest.raises(DeadLetterLimit):
        one_batch_each(rig, IN_A_ROW, workers=100)
    assert rig.committed() == {0: 8}
    assert len(rig.refused()) == 8


def test_another_digest(rig: Rig) -> None:
    """Once model, schema or settings have changed, it goes on where it stopped."""
    rig.write([event(loan(n, age=5 if n < 40 else 30)) for n in range(60)])
    delivered = until_stopped(rig, IN_A_ROW)
    work(rig.worker(limits=replace(IN_A_ROW, digest="digest-2", max_consecutive=0)), 60 - delivered)
    assert rig.committed() == {0: 60}
    assert sorted(rig.predicted() + rig.refused()) == [(0, n) for n in range(60)]


def test_bursts_below_the_limit(rig: Rig) -> None:
    """Refused records in bursts below the limits stop nothing."""
    rig.write([event(loan(n, age=5 if n % 20 < 9 else 30)) for n in range(200)])
    work(rig.worker(limits=replace(IN_A_ROW, max_ratio=0.5, window_records=20)), 200)
    assert len(rig.refused()) == 90


def test_reason_is_kept(rig: Rig) -> None:
    """What is committed beside the unmoved offset says why it stopped."""
    rig.write([event(loan(n, age=5)) for n in range(100)])
    until_stopped(rig, IN_A_ROW)
    metadata = rig.kafka.committed("group")[TopicPartition(rig.input, 0)].metadata
    assert PartitionState.read(metadata).counters.tripped == "12 refused in a row"


def test_reason_that_can_not_be_kept(rig: Rig) -> None:
    """Even if the stop can't be recorded the worker stops, with the limit as its reason."""
    rig.write([event(loan(n, age=5)) for n in range(100)])
    worker = rig.worker(limits=IN_A_ROW, batching=replace(BATCHES_OF_4, max_batch_records=50))
    rig.kafka.fail_next("commit_transaction", TransportError("gone"))
    with pytest.raises(DeadLetterLimit):
        worker.run_once()
    assert rig.committed() == {0: 0}


def test_one_partition_of_two() -> None:
    """A partition over its limit stops the worker; nothing of the other's part of that batch is committed either."""
    rig = Rig(InMemoryEdges(), "group", partitions=2)
    rig.write([event(loan(n, age=5), partition=0) for n in range(12)])
    rig.write([event(loan(n), partition=1) for n in range(12)])
    worker = rig.worker(limits=IN_A_ROW)
    with pytest.raises(DeadLetterLimit):
        worker.run_once()
    assert rig.committed() == {0: 0, 1: 0}
    assert rig.predicted() == []
