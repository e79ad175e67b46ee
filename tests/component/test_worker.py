"""The two laws, on the whole worker: in memory and on a real broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import cast

import pytest

from tests.component.worker_rig import BATCHING, Rig, event, loan, work
from tests.contract.edges import EDGES, Edges, edges_for
from worker.errors import ModelError
from worker.pipeline.batching import BatchingPolicy
from worker.settings import Mode
from worker.testing import RecordingObserver, StubPredictor


@pytest.fixture(params=EDGES)
def edges(request: pytest.FixtureRequest) -> Iterator[Edges]:
    yield from edges_for(request)


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["exactly-once", "at-least-once"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return cast("Mode", request.param)


def mixed(number: int) -> bytes | None:
    """Good, refused at each stage, and tombstones, in turn."""
    return [
        loan(number),
        loan(number, age=17),
        b"\x07junk",
        None,
        loan(number)[:-3],
        loan(number, income=None),
        loan(number) + b"more",
        b"",
        loan(number, age=66),
    ][number % 9]


def test_conservation(edges: Edges, group: str, mode: Mode) -> None:
    """Every record becomes one prediction, one dead letter, or a counted tombstone; and all offsets are committed."""
    rig = Rig(edges, group, partitions=3)
    inputs = [(partition, n) for n in range(60) for partition in range(3)]
    rig.write([event(mixed(n), partition=partition, key=b"%d" % n) for partition, n in inputs])
    observer = RecordingObserver()
    predictor = StubPredictor(poison=lambda columns: columns["age"].objects() == 66)
    work(rig.worker(predictor, mode=mode, observer=observer), len(inputs))
    predicted, refused = rig.predicted(), rig.refused()
    tombstones = sum(report.tombstones for report in observer.reports)
    assert tombstones == sum(mixed(n) is None for _, n in inputs)
    assert sorted(predicted) == sorted(place for place in inputs if place[1] % 9 in (0, 5))
    assert sorted(refused) == sorted(place for place in inputs if place[1] % 9 in (1, 2, 4, 6, 7, 8))
    assert rig.committed() == {0: 60, 1: 60, 2: 60}


def test_order_per_key(edges: Edges, group: str, mode: Mode) -> None:
    """Outputs stand in the partition of their inputs, with the same keys, in the same order."""
    rig = Rig(edges, group, partitions=2)
    sent = [(n % 2, b"key-%d" % (n % 7)) for n in range(100)]
    rig.write([event(loan(n), partition=partition, key=key) for n, (partition, key) in enumerate(sent)])
    small = BatchingPolicy(1, max_batch_records=13, max_batch_bytes=16_000_000, poll_seconds=0.2)
    work(rig.worker(mode=mode, batching=small), 100)
    found = edges.read(rig.predictions)
    for partition in range(2):
        keys = [record.key for record in found if record.partition == partition]
        assert keys == [key for at, key in sent if at == partition]
    assert rig.predicted() == [(partition, n) for partition in range(2) for n in range(50)]


def test_one_poison_row(edges: Edges, group: str) -> None:
    """One poison row among a thousand: 999 predictions and one dead letter."""
    rig = Rig(edges, group)
    rig.write([event(loan(n, age=66 if n == 617 else 30)) for n in range(1_000)])
    predictor = StubPredictor(poison=lambda columns: columns["age"].objects() == 66)
    work(rig.worker(predictor), 1_000)
    assert rig.refused() == [(0, 617)]
    assert rig.predicted() == [(0, n) for n in range(1_000) if n != 617]


def test_model_at_fault(edges: Edges, group: str) -> None:
    """When every row fails and the golden rows do, too, nothing is committed, however often the worker restarts."""
    rig = Rig(edges, group)
    rig.write([event(loan(n)) for n in range(20)])
    for _ in range(3):
        worker = rig.worker(StubPredictor(fails_always=True, sound=False))
        with pytest.raises(ModelError, match="fails on every row"):
            work(worker, 20)
        worker.source.close()
    assert rig.committed() == {0: 0}
    assert rig.predicted() == rig.refused() == []
    work(rig.worker(), 20)
    assert len(rig.predicted()) == 20


def test_restart(edges: Edges, group: str, mode: Mode) -> None:
    """A worker that ends by itself leaves nothing for its successor to do twice."""
    rig = Rig(edges, group)
    rig.write([event(loan(n)) for n in range(10)])
    first = rig.worker(mode=mode)
    work(first, 10)
    first.stop()
    first.run()
    rig.write([event(loan(n)) for n in range(5)])
    work(rig.worker(mode=mode), 5)
    assert len(set(rig.predicted())) == len(rig.predicted()) == 15


def test_aborted_input(edges: Edges, group: str) -> None:
    """Aborted records in the input are not predicted, and the markers do not count as lost."""
    rig = Rig(edges, group)
    edges.write_transaction(rig.input, [event(loan(n)) for n in range(3)], commit=True)
    edges.write_transaction(rig.input, [event(loan(n)) for n in range(3)], commit=False)
    rig.write([event(loan(9))])
    work(rig.worker(batching=BATCHING), 4)
    assert rig.predicted() == [(0, 0), (0, 1), (0, 2), (0, 8)]
