"""Kafka in memory: topics, transactions and groups with the semantics that the worker's promises rest on.

What it keeps from the real one: a transaction's records and offsets become visible together or not at all, and its
marker takes an offset; a read_committed reader stops at the first open transaction; a new owner can't start on a
partition whose offset an open transaction may still move; a newer producer with the same transactional id fences the
older and ends what that left open; commits are checked against member and generation. The contract suite runs on this
and on a real broker. There are no threads and no time-outs: a session ends with ``expire``, a forgotten transaction
with ``abort_hanging``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from worker.errors import Fenced, TransportError
from worker.records import Committable, OutgoingBatch, Record, TopicPartition
from worker.testing.doubles import ManualClock
from worker.testing.faults import Call, Faults, Schedule
from worker.testing.group import CommittedOffset, Group
from worker.testing.log import PartitionLog, State, Transaction


class InMemoryKafka:
    """A broker of one's own; ``clock`` gives the timestamps of records that bring none."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.faults = Faults()
        self._logs: dict[TopicPartition, PartitionLog] = {}
        self._groups: dict[str, Group] = {}
        self._producers: dict[str, InMemoryProducer] = {}

    def create_topic(self, name: str, partitions: int = 1) -> None:
        for number in range(partitions):
            tp = TopicPartition(name, number)
            self._logs.setdefault(tp, PartitionLog(tp))

    def partitions(self, topic: str) -> list[TopicPartition]:
        return sorted(tp for tp in self._logs if tp.topic == topic)

    def append(self, topic: str, records: Iterable[Record]) -> None:
        """Write records outside of any transaction, each to its own partition number."""
        for record in records:
            self.log(TopicPartition(topic, record.partition)).append(self._stamped(record))

    def producer(self, transactional_id: str) -> InMemoryProducer:
        """A transactional producer; an older one with this id is fenced, and what it left open is aborted."""
        if (older := self._producers.get(transactional_id)) is not None:
            older.fence()
        producer = self._producers[transactional_id] = InMemoryProducer(self)
        return producer

    def records(self, topic: str, *, read_committed: bool = True) -> list[Record]:
        """All that a reader sees of the topic, by partition and offset."""
        found = []
        for tp in self.partitions(topic):
            log = self._logs[tp]
            entries = log.entries(log.start, log.stable_end if read_committed else log.end)
            found += [e.record for e in entries if e.record is not None and (e.visible or not read_committed)]
        return found

    def committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        """The group's offsets; those of an open transaction are not among them."""
        return dict(self.group(group).committed)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """What retention does: offsets below ``before`` are gone."""
        log = self.log(TopicPartition(topic, partition))
        log.start = max(log.start, min(before, log.end))

    def fail_next(self, call: Call, error: BaseException, *, after: bool = False, times: int = 1) -> None:
        """See ``Faults.fail_next``."""
        self.faults.fail_next(call, error, after=after, times=times)

    def on_every_call(self, schedule: Schedule | None) -> None:
        """Ask ``schedule`` at each call's boundaries what is to happen there."""
        self.faults.schedule = schedule

    def abort_hanging(self) -> None:
        """What the transaction timeout does to transactions that nobody ended."""
        for producer in self._producers.values():
            producer.time_out()

    def log(self, tp: TopicPartition) -> PartitionLog:
        """Raises TransportError for a partition that there is not."""
        if tp not in self._logs:
            raise TransportError(f"there is no partition {tp}", hint="make it with create_topic")
        return self._logs[tp]

    def group(self, name: str) -> Group:
        return self._groups.setdefault(name, Group())

    def write(self, batch: OutgoingBatch, transaction: Transaction | None = None) -> None:
        """Append a batch, in order."""
        columns = zip(batch.partition.tolist(), batch.keys.to_list(), batch.values.to_list(), strict=True)
        for i, (partition, key, value) in enumerate(columns):
            record = Record(batch.topic, partition, 0, 0, key, value, batch.headers.get(i, ()))
            self.log(TopicPartition(batch.topic, partition)).append(self._stamped(record), transaction)

    def settle(self) -> None:
        """A transaction was decided: the groups take over what it held for them."""
        for group in self._groups.values():
            group.settle()

    def _stamped(self, record: Record) -> Record:
        if record.timestamp_ms > 0:
            return record
        now_ms = int(self.clock.monotonic() * 1_000)
        return Record(record.topic, record.partition, record.offset, now_ms, record.key, record.value, record.headers)


class InMemoryProducer:
    """One transactional producer; at most one transaction at a time."""

    def __init__(self, kafka: InMemoryKafka) -> None:
        self._kafka = kafka
        self._open: Transaction | None = None
        self._fenced = False
        self._timed_out = False

    def begin(self) -> None:
        """Raises Fenced, and TransportError when the last transaction was never ended."""
        self._check()
        if self._open is not None:
            raise TransportError("begin_transaction: the last transaction was never ended")
        self._open = Transaction()

    def produce(self, batch: OutgoingBatch) -> None:
        with self._kafka.faults.around("produce"):
            self._kafka.write(batch, self._transaction())

    def send_offsets(self, group: str, committable: Committable) -> None:
        """Raises DeliveryAborted when the group has moved on."""
        with self._kafka.faults.around("send_offsets"):
            transaction = self._transaction()
            offsets = committed_offsets(committable)
            self._kafka.group(group).commit_with(transaction, committable.generation, offsets)

    def commit(self) -> None:
        with self._kafka.faults.around("commit_transaction"):
            self._end(State.COMMITTED)

    def abort(self) -> None:
        with self._kafka.faults.around("abort_transaction"):
            self._end(State.ABORTED)

    def fence(self) -> None:
        """A newer producer has our id."""
        self.time_out()
        self._fenced = True

    def time_out(self) -> None:
        """The broker ends what is open; our next call learns that."""
        if self._open is not None:
            self._end(State.ABORTED)
            self._timed_out = True

    def _end(self, state: State) -> None:
        self._transaction().end(state)
        self._open = None
        self._kafka.settle()

    def _transaction(self) -> Transaction:
        self._check()
        if self._open is None:
            raise TransportError("there is no open transaction")
        return self._open

    def _check(self) -> None:
        if self._fenced or self._timed_out:
            raise Fenced("another producer has taken over our transactional id, or the transaction timed out")


def committed_offsets(committable: Committable) -> dict[TopicPartition, CommittedOffset]:
    return {tp: CommittedOffset(offset, committable.metadata.get(tp, "")) for tp, offset in committable.offsets.items()}
