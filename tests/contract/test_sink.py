"""What every RecordSink promises."""

from __future__ import annotations

import pytest

from tests.contract.edges import Edges, outgoing, read_batch, read_records, rows, some, values_of
from worker.errors import DeliveryAborted, Fenced
from worker.records import Committable, Record, TopicPartition
from worker.settings import Mode
from worker.testing import CommittedOffset


def test_delivered(edges: Edges, group: str, mode: Mode) -> None:
    """After a delivery, at least once after the end of the sink, outputs are visible, and offsets and metadata committed."""
    topic, out = edges.topic(partitions=2), edges.topic(partitions=2)
    edges.write(topic, some(3, 0) + some(3, 1))
    source = edges.source(topic, group)
    sink = edges.sink(source, group, mode, "a")
    fetch = read_batch(source, 6)
    assert fetch.batch is not None
    metadata = {tp: f"meta-{tp.partition}" for tp in fetch.batch.next_offsets()}
    committable = Committable(fetch.batch.next_offsets(), metadata, fetch.generation)
    sink.deliver([outgoing(out, rows(fetch.batch))], committable)
    sink.close()
    assert sorted(values_of(edges.read(out)), key=str) == sorted(values_of(rows(fetch.batch)), key=str)
    assert edges.committed(group, topic) == {
        TopicPartition(topic, 0): CommittedOffset(3, "meta-0"),
        TopicPartition(topic, 1): CommittedOffset(3, "meta-1"),
    }


def test_order_partition_key_headers(edges: Edges, group: str, mode: Mode) -> None:
    """Outputs keep their order, partition, key, value and headers; null and empty stay apart."""
    topic, out = edges.topic(), edges.topic(partitions=3)
    edges.write(topic, some(1))
    source = edges.source(topic, group)
    sink = edges.sink(source, group, mode, "a")
    fetch = read_batch(source, 1)
    assert fetch.batch is not None
    sent = [
        Record("", 2, 0, 0, b"a", b"1", (("h", b"x"), ("h", None))),
        Record("", 0, 0, 0, None, b""),
        Record("", 2, 0, 0, b"", None),
        Record("", 2, 0, 0, b"a", b"2"),
    ]
    plain = some(3, partition=1)
    committable = Committable(fetch.batch.next_offsets(), {}, fetch.generation)
    sink.deliver([outgoing(out, sent), outgoing(out, plain)], committable)
    sink.close()
    found = [(r.partition, r.key, r.value, r.headers) for r in edges.read(out)]
    expected = [(r.partition, r.key, r.value, r.headers) for r in (sent[1], *plain, sent[0], sent[2], sent[3])]
    assert found == expected


def test_empty_delivery(edges: Edges, group: str, mode: Mode) -> None:
    """A delivery without outputs still commits the offsets."""
    topic = edges.topic()
    edges.write(topic, some(2))
    source = edges.source(topic, group)
    sink = edges.sink(source, group, mode, "a")
    fetch = read_batch(source, 2)
    assert fetch.batch is not None
    sink.deliver([], Committable(fetch.batch.next_offsets(), {}, fetch.generation))
    sink.close()
    assert edges.committed(group, topic)[TopicPartition(topic, 0)].offset == 2


def test_one_after_another(edges: Edges, group: str, mode: Mode) -> None:
    """Deliveries follow one another, exactly once each committed on its own; the input's later records are read once."""
    topic, out = edges.topic(), edges.topic()
    source = edges.source(topic, group)
    sink = edges.sink(source, group, mode, "a")
    for number in range(3):
        edges.write(topic, some(2, prefix=f"round{number}-"))
        fetch = read_batch(source, 2)
        assert fetch.batch is not None
        committable = Committable(fetch.batch.next_offsets(), {}, fetch.generation)
        sink.deliver([outgoing(out, rows(fetch.batch))], committable)
        if mode == "exactly-once":
            assert edges.committed(group, topic)[TopicPartition(topic, 0)].offset == 2 * (number + 1)
    sink.close()
    assert edges.committed(group, topic)[TopicPartition(topic, 0)].offset == 6
    assert [v[:6] for v in values_of(edges.read(out)) if v] == [b"round0"] * 2 + [b"round1"] * 2 + [b"round2"] * 2


def test_fenced(edges: Edges, group: str) -> None:
    """A newer sink with our transactional id ends ours: Fenced, with nothing visible and nothing committed."""
    topic, out = edges.topic(), edges.topic()
    edges.write(topic, some(2))
    source = edges.source(topic, group)
    older = edges.sink(source, group, "exactly-once", "same")
    fetch = read_batch(source, 2)
    assert fetch.batch is not None
    before = edges.committed(group, topic)
    newer = edges.sink(source, group, "exactly-once", "same")
    committable = Committable(fetch.batch.next_offsets(), {}, fetch.generation)
    with pytest.raises(Fenced):
        older.deliver([outgoing(out, rows(fetch.batch))], committable)
    assert edges.read(out) == []
    assert edges.committed(group, topic) == before
    newer.deliver([outgoing(out, rows(fetch.batch))], committable)
    assert len(edges.read(out)) == 2


def test_zombie(edges: Edges, group: str) -> None:
    """A batch read by a member that the group no longer knows is aborted; nothing is visible, nothing committed."""
    topic, out = edges.topic(), edges.topic()
    edges.write(topic, some(3))
    zombie = edges.source(topic, group)
    sink = edges.sink(zombie, group, "exactly-once", "zombie")
    fetch = read_batch(zombie, 3)
    assert fetch.batch is not None
    zombie.close()
    successor = edges.source(topic, group)
    again = read_records(successor, 3)
    before = edges.committed(group, topic)
    with pytest.raises(DeliveryAborted):
        sink.deliver([outgoing(out, rows(fetch.batch))], Committable(fetch.batch.next_offsets(), {}, fetch.generation))
    assert edges.read(out) == []
    assert edges.committed(group, topic) == before
    assert values_of(again) == values_of(rows(fetch.batch))


def test_after_an_abort(edges: Edges, group: str) -> None:
    """After an aborted delivery the same sink delivers again, and only that is visible."""
    topic, out = edges.topic(), edges.topic()
    edges.write(topic, some(3))
    first = edges.source(topic, group)
    sink = edges.sink(first, group, "exactly-once", "a")
    stale = read_batch(first, 3)
    assert stale.batch is not None
    first.close()
    second = edges.source(topic, group)
    fresh = read_batch(second, 3)
    assert fresh.batch is not None
    with pytest.raises(DeliveryAborted):
        sink.deliver(
            [outgoing(out, some(5, prefix="stale"))], Committable(stale.batch.next_offsets(), {}, stale.generation)
        )
    sink.deliver([outgoing(out, rows(fresh.batch))], Committable(fresh.batch.next_offsets(), {}, fresh.generation))
    assert values_of(edges.read(out)) == values_of(rows(fresh.batch))
