"""What the workers counted is what was there, whoever counted: in memory and on a real broker."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.component import counted_loans
from tests.component.worker_rig import Rig, event, loan, work
from tests.contract.edges import EDGES, Edges, edges_for
from tests.support.drift import Row, added
from worker.pipeline.batching import BatchingPolicy
from worker.pipeline.partition_state import PartitionState
from worker.records import Record

PARTITIONS, RECORDS = 3, 240
BATCHES_OF_20 = BatchingPolicy(1, max_batch_records=20, max_batch_bytes=1_000_000, poll_seconds=0.2)
GOOD: dict[bytes | None, Row] = {
    loan(i, **more): counted_loans.row_of(**more) for i, more in enumerate(counted_loans.LOANS)
}
VALUES: list[bytes | None] = [*GOOD, loan(9, age=17), b"junk", None]


@pytest.fixture(params=EDGES)
def edges(request: pytest.FixtureRequest) -> Iterator[Edges]:
    yield from edges_for(request)


def rig_on(edges: Edges) -> Rig:
    rig = Rig(edges, f"group-{uuid.uuid4().hex[:12]}", partitions=PARTITIONS, sketches=edges.topic())
    rig.write(events())
    return rig


def events() -> list[Record]:
    """Of the last minutes, every third some windows earlier than those around it."""
    chance, now_ms = random.Random(1), int(time.time() // 600 - 1) * 600_000
    times = [now_ms + 500 * i - (i % 3 == 0) * chance.randrange(5 * counted_loans.WINDOW_MS) for i in range(RECORDS)]
    return [event(chance.choice(VALUES), partition=chance.randrange(PARTITIONS), timestamp_ms=at) for at in times]


def check(rig: Rig) -> None:
    """Every offset is covered once, and the sum is what an offline count of the input gives."""
    sketches = [counted_loans.read(record) for record in rig.edges.read(rig.sketches)]
    records = rig.edges.read(rig.input)
    expected = counted_loans.windows_of(records, GOOD)
    assert sum(late for _, late, _ in expected.values()) > RECORDS / 100, "some must be late for this to mean anything"
    assert added(sketches) == expected
    for partition in range(PARTITIONS):
        covered = sorted((r.first, r.next) for sketch in sketches for r in sketch.ranges if r.partition == partition)
        assert [next_offset for _, next_offset in covered[:-1]] == [first for first, _ in covered[1:]]
        assert (covered[0][0], covered[-1][1]) == (0, sum(r.partition == partition for r in records))


def test_restarts(edges: Edges) -> None:
    """Workers one after another, each with a few batches: what is late is known to the next."""
    rig, done = rig_on(edges), 0
    while done < RECORDS:
        worker = rig.worker(batching=BATCHES_OF_20)
        for _ in range(50):
            if one := worker.run_once():
                done += one
                break
        worker.sink.close()
        worker.source.close()
    check(rig)
    at = rig.edges.committed(rig.group, rig.input)
    latest = {
        p: max(r.timestamp_ms for r in rig.edges.read(rig.input) if (r.partition, r.value in GOOD) == (p, True))
        for p in range(PARTITIONS)
    }
    assert {tp.partition: PartitionState.read(offset.metadata).watermark_ms for tp, offset in at.items()} == latest


@pytest.mark.parametrize("workers", [1, 3])
def test_members(edges: Edges, workers: int) -> None:
    """Any number of workers at the same time count the same."""
    rig, done = rig_on(edges), 0
    team = [rig.worker(batching=BATCHES_OF_20, name=str(number)) for number in range(workers)]
    until = time.monotonic() + 60
    while done < RECORDS:
        assert time.monotonic() < until
        done += sum(worker.run_once() for worker in team)
    check(rig)


def test_at_least_once(edges: Edges) -> None:
    """With that guarantee and no faults the counts are the same."""
    rig = rig_on(edges)
    work(rig.worker(mode="at-least-once", batching=BATCHES_OF_20), RECORDS)
    check(rig)
