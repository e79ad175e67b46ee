"""What the loop does about deliveries that fail, and how its batches grow and shrink."""

from __future__ import annotations

import pytest

from tests.component.worker_rig import Rig, event, loan, pipeline, work, worker_of
from tests.contract.edges import InMemoryEdges
from worker.columns import Columns, Scores
from worker.errors import DeliveryAborted, Fenced, TransportError
from worker.pipeline.batching import BatchingPolicy
from worker.pipeline.limits import LimitPolicy
from worker.service import PredictionWorker
from worker.settings import Mode
from worker.testing import InMemoryKafka, InMemorySink, InMemorySource, ManualClock, RecordingObserver, StubPredictor
from worker.testing.faults import Call


@pytest.fixture
def rig() -> Rig:
    rig = Rig(InMemoryEdges(), "group")
    rig.write([event(loan(n)) for n in range(10)])
    return rig


@pytest.mark.parametrize("call", ["produce", "send_offsets", "commit_transaction"])
@pytest.mark.parametrize("aborts", [1, 4])
def test_read_again(rig: Rig, call: Call, aborts: int) -> None:
    """After an abort, wherever it came, the batch is read again, and its results are there once."""
    rig.kafka.fail_next(call, DeliveryAborted("passing"), times=aborts)
    observer = RecordingObserver()
    worker = rig.worker(observer=observer)
    assert [worker.run_once() for _ in range(aborts)] == [0] * aborts
    assert rig.predicted() == []
    assert rig.committed() == {0: 0}
    work(worker, 10)
    assert rig.predicted() == [(0, n) for n in range(10)]
    assert len(observer.aborts) == aborts


def test_read_again_at_least_once(rig: Rig) -> None:
    """At least once, what was written before a failed commit stays, and its double has the same bytes."""
    rig.kafka.fail_next("commit", DeliveryAborted("passing"))
    work(rig.worker(mode="at-least-once"), 10)
    values = [record.value for record in rig.edges.read(rig.predictions)]
    assert len(values) == 20
    assert values[:10] == values[10:]


def behind_worker(rig: Rig) -> PredictionWorker:
    """Two records a batch, each committed behind the next."""
    return worker_of(
        InMemorySource(rig.kafka, rig.input, rig.group),
        InMemorySink(rig.kafka, rig.group, behind=True),
        pipeline(StubPredictor(), rig.predictions, rig.letters),
        limits=LimitPolicy("digest", max_ratio=0.9, max_consecutive=9),
        batching=BatchingPolicy(1, max_batch_records=2, max_batch_bytes=1_000_000),
    )


@pytest.mark.parametrize("at", [0, 2, 4], ids=["the first", "one between", "the last"])
@pytest.mark.parametrize("aborts", [1, 3])
def test_read_again_from_the_one_before(at: int, aborts: int) -> None:
    """Where a batch turns out not to be committed once the next is there, both are read again, with what was counted."""
    seen = []
    for times in (0, aborts):
        rig = Rig(InMemoryEdges(), "group")
        rig.write([event(loan(n, age=30 if n % 3 else 3)) for n in range(10)])
        worker = behind_worker(rig)
        for _ in range(at):
            assert worker.run_once() == 2
        if times:
            rig.kafka.fail_next("commit_transaction", DeliveryAborted("passing"), times=times)
        while rig.committed() != {0: 10}:
            worker.run_once()
        seen.append((rig.predicted(), rig.refused(), rig.edges.committed("group", rig.input)))
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == 6


def test_five_aborts_behind(rig: Rig) -> None:
    """A batch whose commit fails again and again is not for ever followed by one that gets further."""
    rig.kafka.fail_next("commit_transaction", DeliveryAborted("passing"), times=5)
    with pytest.raises(TransportError, match="5 deliveries in a row were aborted: passing"):
        behind_worker(rig).run()
    assert rig.predicted() == []


def test_five_aborts(rig: Rig) -> None:
    """Five aborts in a row end the process for a restart; a success in between starts the count anew."""
    worker = rig.worker(batching=BatchingPolicy(1, max_batch_records=1, max_batch_bytes=1_000))
    for _ in range(2):
        rig.kafka.fail_next("send_offsets", DeliveryAborted("passing"), times=4)
        work(worker, 1)
    rig.kafka.fail_next("send_offsets", DeliveryAborted("passing"), times=5)
    with pytest.raises(TransportError, match="5 deliveries in a row were aborted: passing") as caught:
        work(worker, 1)
    assert not isinstance(caught.value, DeliveryAborted)
    assert rig.committed() == {0: 2}


@pytest.mark.parametrize("error", [Fenced("replaced"), TransportError("gone")], ids=["fenced", "transport"])
@pytest.mark.parametrize("mode", ["exactly-once", "at-least-once"])
def test_stops(rig: Rig, error: TransportError, mode: Mode) -> None:
    """Any other failure of a delivery ends the worker, which leaves the group; its successor does the work once."""
    rig.kafka.fail_next("produce", error)
    observer = RecordingObserver()
    worker = rig.worker(mode=mode, observer=observer)
    with pytest.raises(type(error)):
        worker.run()
    assert observer.events[0] == "started"
    assert observer.events[-1] == "stopped"
    work(rig.worker(mode=mode), 10)
    assert rig.predicted() == [(0, n) for n in range(10)]


def test_outcome_unknown(rig: Rig) -> None:
    """A commit that succeeded without our learning it is not repeated by the successor."""
    rig.kafka.fail_next("commit_transaction", TransportError("no answer"), after=True)
    worker = rig.worker()
    with pytest.raises(TransportError, match="no answer"):
        worker.run()
    assert rig.committed() == {0: 10}
    successor = rig.worker()
    assert successor.run_once() == 0
    assert rig.predicted() == [(0, n) for n in range(10)]


def test_poll_fails(rig: Rig) -> None:
    """A source that fails ends the worker with nothing committed."""
    rig.kafka.fail_next("poll", TransportError("no broker"))
    with pytest.raises(TransportError, match="no broker"):
        rig.worker().run()
    assert rig.committed() == {}


class SlowPredictor(StubPredictor):
    """Takes its time on the hand-moved clock: ``fixed`` seconds a call, and ``each`` a row."""

    __slots__ = ("clock", "each", "fixed")

    def __init__(self, clock: ManualClock, fixed: float, each: float) -> None:
        super().__init__()
        self.clock, self.fixed, self.each = clock, fixed, each

    def predict(self, columns: Columns) -> Scores:
        self.clock.advance(self.fixed + self.each * len(columns))
        return super().predict(columns)


def slow_worker(records: int, *, fixed: float, each: float) -> tuple[list[int], float]:
    """Sizes of the batches that a backlog was cut into, and the longest that one took; the target is 0.1 s."""
    kafka = InMemoryKafka()
    for topic in ("in", "predictions", "letters"):
        kafka.create_topic(topic)
    kafka.append("in", [event(loan(n)) for n in range(records)])
    observer = RecordingObserver()
    predictor = SlowPredictor(kafka.clock, fixed, each)
    worker = worker_of(
        InMemorySource(kafka, "in", "group"),
        InMemorySink(kafka, "group"),
        pipeline(predictor, "predictions", "letters"),
        batching=BatchingPolicy(0.1, max_batch_records=2_000, max_batch_bytes=1_000_000),
        observer=observer,
        clock=kafka.clock,
    )
    work(worker, records)
    sizes = [report.records for report in observer.reports]
    return sizes, max(fixed + each * size for size in sizes[3:])


def test_batches_grow() -> None:
    """Under a backlog batches grow to the largest that is allowed while the target allows it."""
    sizes, _ = slow_worker(12_000, fixed=0.001, each=1e-6)
    assert sizes[0] == 256
    assert max(sizes) == 2_000
    assert sizes[:4] == [256, 512, 1_024, 2_000]


def test_batches_shrink() -> None:
    """Where a batch takes longer than the latency target the next are smaller, until they keep within it."""
    sizes, longest = slow_worker(2_000, fixed=0.001, each=0.001)
    assert sizes[0] == 256
    assert longest <= 0.11
    assert min(sizes[1:-1]) >= 50


def test_batches_are_what_is_there() -> None:
    """Without a backlog a batch is simply what has come."""
    rig = Rig(InMemoryEdges(), "group")
    observer = RecordingObserver()
    worker = rig.worker(observer=observer)
    for count in (3, 1, 2):
        rig.write([event(loan(n)) for n in range(count)])
        work(worker, count)
    assert [report.records for report in observer.reports] == [3, 1, 2]
    assert observer.reports[-1].lag == dict.fromkeys(observer.reports[-1].lag, 0)
