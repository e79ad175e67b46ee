"""What every RecordSource promises."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.contract.edges import (
    LIMIT,
    Edges,
    outgoing,
    poll_until,
    read_batch,
    read_records,
    records_of,
    some,
    values_of,
)
from worker.errors import TransportError
from worker.ports import FetchLimit
from worker.records import Committable, Record, TopicPartition
from worker.settings import Mode
from worker.testing import CommittedOffset

FEW = FetchLimit(max_records=7, max_bytes=16_000_000, timeout_seconds=0.2)


def test_order_and_once(edges: Edges, group: str) -> None:
    """Offsets ascend within each partition, and each comes once, however the polls cut them."""
    topic = edges.topic(partitions=3)
    edges.write(topic, [record for partition in range(3) for record in some(40, partition)])
    records = read_records(edges.source(topic, group), 120, FEW)
    offsets = defaultdict(list)
    for record in records:
        offsets[record.partition].append(record.offset)
    assert offsets == {partition: list(range(40)) for partition in range(3)}


def test_at_most_max_records(edges: Edges, group: str) -> None:
    """A poll returns no more records than asked for."""
    topic = edges.topic()
    edges.write(topic, some(50))
    fetches = poll_until(edges.source(topic, group), lambda fetches: len(records_of(fetches)) >= 50, FEW)
    assert max(len(fetch.batch) for fetch in fetches if fetch.batch) <= 7


def test_none(edges: Edges, group: str) -> None:
    """A poll for no records takes part in the group, takes none, and leaves them for the next one."""
    topic = edges.topic()
    edges.write(topic, some(10))
    source = edges.source(topic, group)
    none = FetchLimit(max_records=0, max_bytes=0, timeout_seconds=0.2)
    fetches = poll_until(source, lambda _: bool(source.partitions()), none)
    fetches += [source.poll(none) for _ in range(3)]
    assert records_of(fetches) == []
    assert len(read_records(source, 10)) == 10


def test_every_partition_has_its_turn(edges: Edges, group: str) -> None:
    """Polls for fewer records than there are partitions leave none of them out."""
    topic = edges.topic(partitions=5)
    edges.write(topic, [record for partition in range(5) for record in some(8, partition)])
    source = edges.source(topic, group)
    few = FetchLimit(max_records=2, max_bytes=1_000_000, timeout_seconds=0.2)
    records = read_records(source, 40, few)
    assert sorted((r.partition, r.offset) for r in records) == [(p, o) for p in range(5) for o in range(8)]


def test_nothing_there(edges: Edges, group: str) -> None:
    """A poll on an empty topic comes back without a batch."""
    source = edges.source(edges.topic(), group)
    assert source.poll(LIMIT).batch is None


def test_round_trip(edges: Edges, group: str) -> None:
    """Tombstones, null and empty keys, empty values and headers arrive as they were written."""
    topic = edges.topic()
    records = [
        Record("", 0, 0, 1_000, b"key", None),
        Record("", 0, 0, 1_001, None, b"value"),
        Record("", 0, 0, 1_002, b"", b""),
        Record("", 0, 0, 1_003, b"", b"value"),
        Record("", 0, 0, 1_004, b"key", b""),
        Record("", 0, 0, 1_005, None, None),
        Record("", 0, 0, 1_006, b"", None),
        Record("", 0, 0, 1_007, None, b""),
        Record("", 0, 0, 1_008, b"\x00\xff", b"\xff", (("a", b"1"), ("a", b""), ("n", None))),
    ]
    edges.write(topic, records)
    found = read_records(edges.source(topic, group), len(records))
    assert found == [Record(topic, 0, i, r.timestamp_ms, r.key, r.value, r.headers) for i, r in enumerate(records)]


def test_headers_and_times_of_many(edges: Edges, group: str) -> None:
    """In a large batch, too, every record has its own headers and time, and the others have none."""
    topic = edges.topic()
    records = [Record("", 0, 0, 1_000 + i, None, b"v", (("n", str(i).encode()),) * (i % 3 == 1)) for i in range(90)]
    edges.write(topic, records)
    found = read_batch(edges.source(topic, group), 90).batch
    assert found is not None
    assert found.timestamp_ms.tolist() == [record.timestamp_ms for record in records]
    assert [found.record(i).headers for i in range(90)] == [record.headers for record in records]


def test_rewind(edges: Edges, group: str) -> None:
    """After a rewind the next records are the batch's own, from its first offset on, on each partition."""
    topic = edges.topic(partitions=2)
    edges.write(topic, some(10, 0) + some(10, 1))
    source = edges.source(topic, group)
    first = read_batch(source, 20)
    assert first.batch is not None
    source.rewind(first.batch)
    again = read_records(source, 20, FEW)
    key = lambda r: (r.partition, r.offset)  # noqa: E731 - used twice below, and nowhere else
    assert sorted(again, key=key) == sorted(records_of([first]), key=key)


def test_rewind_middle(edges: Edges, group: str) -> None:
    """A rewind goes back to the batch that is given, not further."""
    topic = edges.topic()
    edges.write(topic, some(21))
    source = edges.source(topic, group)
    batches = [f.batch for f in poll_until(source, lambda f: len(records_of(f)) >= 21, FEW) if f.batch]
    source.rewind(batches[-1])
    again = read_records(source, len(batches[-1]), FEW)
    assert again[0].offset == batches[-1].offset[0]


def test_start_earliest(edges: Edges, group: str) -> None:
    """Without a committed offset, earliest reads from the first record that retention has left, and commits that."""
    topic = edges.topic()
    edges.write(topic, some(5))
    edges.delete_records(topic, 0, before=2)
    assert [r.offset for r in read_records(edges.source(topic, group), 3)] == [2, 3, 4]
    assert edges.committed(group, topic)[TopicPartition(topic, 0)].offset == 2


def test_start_latest(edges: Edges, group: str) -> None:
    """Latest is resolved once and committed at once: what comes after that is read even by a successor."""
    topic = edges.topic()
    edges.write(topic, some(5))
    source = edges.source(topic, group, "latest")
    poll_until(source, lambda _: bool(edges.committed(group, topic)))
    assert edges.committed(group, topic) == {TopicPartition(topic, 0): CommittedOffset(5)}
    source.close()
    edges.write(topic, some(2, prefix="later"))
    assert [r.offset for r in read_records(edges.source(topic, group, "latest"), 2)] == [5, 6]


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_committed_offset_wins(edges: Edges, group: str, start: str, mode: Mode) -> None:
    """A committed offset is where reading goes on, whatever the configured start; its metadata comes along."""
    topic, out = edges.topic(), edges.topic()
    edges.write(topic, some(6))
    first = edges.source(topic, group)
    sink = edges.sink(first, group, mode, "a")
    fetch = read_batch(first, 6)
    tp = TopicPartition(topic, 0)
    sink.deliver([], Committable({tp: 4}, {tp: "counters"}, fetch.generation))
    first.close()
    edges.write(out, [])
    second = edges.source(topic, group, "latest" if start == "latest" else "earliest")
    fetches = poll_until(second, lambda fetches: len(records_of(fetches)) >= 2)
    assert [r.offset for r in records_of(fetches)] == [4, 5]
    known: dict[TopicPartition, str] = {}
    for fetch in fetches:
        known.update(fetch.assigned)
        assert fetch.batch is None or tp in known, "metadata must be known before the first record"
    assert known[tp] == "counters"


def test_assigned_once(edges: Edges, group: str) -> None:
    """A partition is announced as assigned once, not with each batch."""
    topic = edges.topic()
    edges.write(topic, some(30))
    fetches = poll_until(edges.source(topic, group), lambda fetches: len(records_of(fetches)) >= 30, FEW)
    assert [tp for fetch in fetches for tp in fetch.assigned] == [TopicPartition(topic, 0)]


def test_transactions_in_the_input(edges: Edges, group: str) -> None:
    """Aborted records and transaction markers are passed over, and only they."""
    topic = edges.topic()
    edges.write_transaction(topic, some(3, prefix="good"), commit=True)
    edges.write_transaction(topic, some(4, prefix="bad"), commit=False)
    edges.write(topic, some(2, prefix="plain"))
    records = read_records(edges.source(topic, group), 5)
    assert values_of(records) == [b"good0-0", b"good0-1", b"good0-2", b"plain0-0", b"plain0-1"]
    assert [r.offset for r in records] == [0, 1, 2, 9, 10]


def test_open_transaction_in_the_input(edges: Edges, group: str) -> None:
    """What stands behind an open transaction is read once that is committed, in offset order."""
    topic = edges.topic()
    edges.write(topic, some(1))
    commit = edges.open_transaction(topic, some(1, prefix="open"))
    edges.write(topic, some(1, prefix="behind"))
    source = edges.source(topic, group)
    assert values_of(read_records(source, 1)) == [b"v0-0"]
    assert source.poll(LIMIT).batch is None
    commit()
    assert values_of(read_records(source, 2)) == [b"open0-0", b"behind0-0"]


def test_nothing_but_aborted(edges: Edges, group: str) -> None:
    """A topic of aborted records alone gives no batch, and no error."""
    topic = edges.topic()
    edges.write_transaction(topic, some(3), commit=False)
    source = edges.source(topic, group)
    poll_until(source, lambda _: bool(edges.committed(group, topic)))
    assert source.poll(LIMIT).batch is None


def test_lag(edges: Edges, group: str) -> None:
    """Once all is read nothing lags; what is written then does, when the broker has told us of it."""
    topic = edges.topic()
    edges.write(topic, some(20))
    source = edges.source(topic, group)
    tp = TopicPartition(topic, 0)
    poll_until(source, lambda fetches: len(records_of(fetches)) >= 7, FEW)
    assert 0 < source.lag()[tp] <= 13
    poll_until(source, lambda fetches: source.lag()[tp] == 0, FEW)


def test_gone(edges: Edges, group: str) -> None:
    """A committed offset that retention has passed stops the worker; nothing is skipped silently."""
    topic = edges.topic()
    edges.write(topic, some(10))
    first = edges.source(topic, group)
    sink = edges.sink(first, group, "exactly-once", "a")
    fetch = read_batch(first, 10)
    tp = TopicPartition(topic, 0)
    sink.deliver([], Committable({tp: 3}, {}, fetch.generation))
    first.close()
    edges.delete_records(topic, 0, before=6)
    with pytest.raises(TransportError, match="committed offset 3 is gone") as caught:
        poll_until(edges.source(topic, group), lambda fetches: bool(records_of(fetches)))
    assert caught.value.hint
    assert edges.committed(group, topic)[tp].offset == 3


def test_beyond_the_end(edges: Edges, group: str) -> None:
    """A committed offset beyond the end (the topic was created anew) stops the worker, too."""
    topic = edges.topic()
    edges.write(topic, some(2))
    first = edges.source(topic, group)
    sink = edges.sink(first, group, "exactly-once", "a")
    fetch = read_batch(first, 2)
    sink.deliver([], Committable({TopicPartition(topic, 0): 500}, {}, fetch.generation))
    first.close()
    with pytest.raises(TransportError, match="committed offset 500 is gone"):
        poll_until(edges.source(topic, group), lambda fetches: bool(records_of(fetches)))


def test_topic_of_outputs_untouched(edges: Edges, group: str) -> None:
    """Reading writes nothing."""
    topic = edges.topic()
    edges.write(topic, some(3))
    read_records(edges.source(topic, group), 3)
    assert len(edges.read(topic)) == 3
    assert outgoing(topic, edges.read(topic)).topic == topic
