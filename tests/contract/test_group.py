"""What source and sink promise together when partitions change hands."""

from __future__ import annotations

import time

import pytest

from tests.contract.edges import (
    DEADLINE_SECONDS,
    LIMIT,
    Edges,
    outgoing,
    poll_until,
    read_batch,
    records_of,
    rows,
    some,
)
from worker.errors import DeliveryAborted
from worker.ports import Fetch, RecordSource
from worker.records import Committable, TopicPartition
from worker.settings import Mode


class Polled:
    """A member that is polled in turn with others; knows what it owns and what it has read."""

    def __init__(self, source: RecordSource) -> None:
        self.source = source
        self.fetches: list[Fetch] = []
        self.unassigned: set[TopicPartition] = set()

    def poll(self) -> None:
        fetch = self.source.poll(LIMIT)
        self.fetches.append(fetch)
        self.unassigned |= fetch.unassigned

    def partitions_read(self) -> set[int]:
        return {record.partition for record in records_of(self.fetches)}


def shared(first: RecordSource, second: RecordSource) -> tuple[Polled, Polled]:
    """Both are polled in turn until the first has given partitions up."""
    one, two = Polled(first), Polled(second)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not one.unassigned or not records_of(two.fetches):
        assert time.monotonic() < deadline, "the partitions were not shared in time"
        one.poll()
        two.poll()
    return one, two


def test_shared(edges: Edges, group: str) -> None:
    """A second member takes half of the partitions over, and reads what was not committed there."""
    topic = edges.topic(partitions=4)
    edges.write(topic, [record for partition in range(4) for record in some(3, partition)])
    first = edges.source(topic, group)
    read_batch(first, 12)
    one, two = shared(first, edges.source(topic, group))
    assert len(one.unassigned) == 2
    poll_until(two.source, lambda fetches: len(records_of(two.fetches + fetches)) >= 6)
    assert {TopicPartition(topic, partition) for partition in two.partitions_read()} <= one.unassigned


def test_old_generation_aborts(edges: Edges, group: str, mode: Mode) -> None:
    """A delivery of a batch from before a rebalance is aborted, and leaves the committed offsets alone."""
    topic, out = edges.topic(partitions=2), edges.topic(partitions=2)
    edges.write(topic, some(3, 0) + some(3, 1))
    first = edges.source(topic, group)
    sink = edges.sink(first, group, mode, "a")
    stale = read_batch(first, 6)
    assert stale.batch is not None
    shared(first, edges.source(topic, group))
    before = edges.committed(group, topic)
    with pytest.raises(DeliveryAborted):
        sink.deliver([outgoing(out, rows(stale.batch))], Committable(stale.batch.next_offsets(), {}, stale.generation))
    assert edges.committed(group, topic) == before
    if mode == "exactly-once":
        assert edges.read(out) == []


def test_rewind_of_a_lost_partition(edges: Edges, group: str) -> None:
    """After a rewind nothing is read of a partition that has been given up; what is still ours is read again."""
    topic = edges.topic(partitions=2)
    edges.write(topic, some(3, 0) + some(3, 1))
    first = edges.source(topic, group)
    batch = read_batch(first, 6).batch
    assert batch is not None
    one, _ = shared(first, edges.source(topic, group))
    first.rewind(batch)
    (lost,) = one.unassigned
    again = records_of(poll_until(first, lambda fetches: len(records_of(fetches)) >= 3))
    assert {record.partition for record in again} == {1 - lost.partition}
    assert [record.offset for record in again] == [0, 1, 2]


def test_close_hands_over(edges: Edges, group: str) -> None:
    """A member that closes hands its partitions over well before any session could time out."""
    topic = edges.topic()
    edges.write(topic, some(2))
    first = edges.source(topic, group)
    read_batch(first, 2)
    first.close()
    begun = time.monotonic()
    read_batch(edges.source(topic, group), 2)
    assert time.monotonic() - begun < 4, "the classic protocol's session is 6 s"


def test_metadata_moves_with_the_partition(edges: Edges, group: str, mode: Mode) -> None:
    """Whoever takes a partition over gets the metadata that its last owner committed."""
    topic = edges.topic(partitions=2)
    edges.write(topic, some(3, 0) + some(3, 1))
    first = edges.source(topic, group)
    sink = edges.sink(first, group, mode, "a")
    fetch = read_batch(first, 6)
    assert fetch.batch is not None
    unread = dict.fromkeys(fetch.batch.first_offsets(), 1)
    sink.deliver([], Committable(unread, {tp: f"of {tp.partition}" for tp in unread}, fetch.generation))
    one, two = shared(first, edges.source(topic, group))
    (moved,) = one.unassigned
    assigned = {tp: text for f in two.fetches for tp, text in f.assigned.items()}
    assert assigned[moved] == f"of {moved.partition}"
    assert records_of(two.fetches)[0].offset == 1
