"""The consuming edge: one member of the group, whole batches at a time.

Rules: partitions change hands only inside ``poll``, when no transaction is open; the rebalance callbacks only note
what happened, and run before a batch is taken, never while it is: so all of it is of partitions that are ours. The
consumer never rewinds by itself after an abort: ``rewind`` must be called, or records are lost silently.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Position

from worker.errors import TransportError
from worker.kafka.errors import client, error_of, stopping
from worker.kafka.membership import is_member
from worker.kafka.native.commits import Commits
from worker.kafka.native.library import Library
from worker.kafka.native.partition_queues import PartitionQueues
from worker.kafka.offsets import CommittedOffsets
from worker.ports import Fetch, FetchLimit
from worker.records import RecordBatch, TopicPartition

_LOG = logging.getLogger(__name__)
_NO_OFFSET = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 - a public code: no offset for a partition, or out of range
# Well below any session time-out: a member that has slept for longer may have been thrown out.
_ASLEEP_SECONDS = 1.0
# librdkafka says when it has callbacks; should it not, they are run this soon all the same.
_SERVE_SECONDS = 0.1
# Passing by themselves: librdkafka goes on reconnecting, and a delivery that can't be made has deadlines of its own.
PASSING = {
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - we have left the group, and join again with the next poll
}


class KafkaSource:
    """Implements ``ports.RecordSource``. ``commits`` and ``before_giving_up`` (called while partitions that must be
    given up are ours still) are for the at-least-once sink, which is the same member's.

    ``max_bytes`` of a limit is not counted record by record: the batch size follows the mean size of records, and the
    client never holds more than it prefetches (``queued.max.messages.kbytes``).
    """

    def __init__(self, config: Mapping[str, Any], topic: str, start: str, *, fenced: bool = True) -> None:
        """``fenced``: a batch brings the group's generation, which a transaction commits under."""
        self._topic = topic
        self._fenced = fenced
        self._consumer = client(Consumer, {**config, "error_cb": self._on_error})
        self._offsets = CommittedOffsets(self._consumer, start)
        self._assigned: set[int] = set()
        self._unknown: set[int] = set()  # ours, but the metadata committed for them has not been read yet
        self._gone: set[int] = set()
        self._next: dict[int, int] = {}
        self._fatal: KafkaError | None = None
        self._polled_at = time.monotonic()
        self._served_at = float("-inf")
        self._ours: frozenset[TopicPartition] = frozenset()
        library = Library()
        self._queues = PartitionQueues(library, self._consumer, topic)
        self.commits = Commits(library, self._consumer)
        self.before_giving_up: Callable[[], None] = _nothing
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    @property
    def consumer(self) -> Consumer:
        """For the at-least-once sink, which asks whether it is a member of the group still."""
        return self._consumer

    def poll(self, limit: FetchLimit) -> Fetch:
        self._gone.clear()
        begun = time.monotonic()
        slept, deadline = begun - self._polled_at > _ASLEEP_SECONDS, begun + limit.timeout_seconds
        batch, left = None, limit.timeout_seconds
        while batch is None and self._fatal is None and left >= 0:
            if self._queues.is_empty or not limit.max_records:
                self._queues.wait(left)
            batch = self._gather(limit.max_records)
            self._polled_at = time.monotonic()
            left = deadline - self._polled_at
        if self._fatal is not None:
            raise stopping("consume", self._fatal)
        unassigned = frozenset(TopicPartition(self._topic, p) for p in self._gone)
        if batch is None:
            return Fetch(unassigned=unassigned)
        # Each question about the group is one to another thread, a good part of what a batch of one record takes.
        generation = self._consumer.consumer_group_metadata() if self._fenced or slept else None
        if generation is not None and not is_member(self._consumer, generation):
            # Thrown out while we slept: the next poll gives the partitions up and joins again.
            self._seek(batch.first_offsets())
            return Fetch(unassigned=unassigned)
        known = self._metadata(batch)
        if known is None:
            _LOG.warning(
                "what is committed was not told, as while the group waits for a member: the batch is read again"
            )
            self._seek(batch.first_offsets())
            return Fetch(unassigned=unassigned)
        self._next.update({tp.partition: offset for tp, offset in batch.next_offsets().items()})
        return Fetch(batch, generation, known, unassigned)

    def rewind(self, batch: RecordBatch) -> None:
        self._seek(batch.first_offsets())

    def lag(self) -> dict[TopicPartition, int]:
        lags = {}
        for partition in sorted(self._assigned & self._next.keys()):
            _, end = self._consumer.get_watermark_offsets(Position(self._topic, partition), cached=True)
            if end >= 0:
                lags[TopicPartition(self._topic, partition)] = max(0, end - self._next[partition])
        return lags

    def partitions(self) -> frozenset[TopicPartition]:
        return self._ours

    def close(self) -> None:
        self.before_giving_up()
        self.before_giving_up = _nothing
        self._queues.close()
        self.commits.close()
        self._consumer.close()

    def _gather(self, most: int) -> RecordBatch | None:
        """Serve the client's callbacks, then take what is there of the partitions that are ours after them."""
        self._queues.look()
        if self._queues.has_callbacks or time.monotonic() - self._served_at > _SERVE_SECONDS:
            self._serve_callbacks()
        batch, errors = self._queues.take(most)
        for partition, failure in errors:
            self._deal_with(failure, partition)
        return batch

    def _serve_callbacks(self) -> None:
        try:
            while (event := self._consumer.poll(0)) is not None:
                error = event.error()
                assert error is not None  # records are in the queues of their partitions
                self._deal_with(error, event.partition())
        except KafkaException as error:
            raise stopping("consume", error_of(error)) from None
        self._queues.served()
        self._served_at = time.monotonic()

    def _deal_with(self, error: KafkaError, partition: int | None) -> None:
        if error.code() == _NO_OFFSET:
            if partition in self._assigned:
                self._offsets.start_at([TopicPartition(self._topic, partition)])
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TransportError(f"topic {self._topic} does not exist any more", hint="create it, then start again")
        elif error.fatal() or error.code() not in PASSING:
            raise stopping("consume", error)
        else:
            _LOG.warning("consume: %s", error.str())

    def _metadata(self, batch: RecordBatch) -> dict[TopicPartition, str] | None:
        """The metadata committed for the batch's partitions that are new to us; None: it can't be read now."""
        if not self._unknown:
            return {}
        new = [tp for tp in batch.first_offsets() if tp.partition in self._unknown]
        if not new:
            return {}
        metadata = self._offsets.metadata(new)
        if metadata is not None:
            self._unknown -= {tp.partition for tp in new}
        return metadata

    def _seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for tp, offset in offsets.items():
            if tp.partition in self._assigned:
                self._consumer.seek(Position(tp.topic, tp.partition, offset))
                self._next[tp.partition] = offset

    def _on_assign(self, _: Consumer, positions: list[Position]) -> None:
        partitions = {position.partition for position in positions}
        self._own(self._assigned | partitions)
        self._unknown |= partitions
        self._queues.open(partitions)

    def _own(self, partitions: set[int]) -> None:
        self._assigned = partitions
        self._ours = frozenset(TopicPartition(self._topic, partition) for partition in partitions)

    def _on_revoke(self, _: Consumer, positions: list[Position]) -> None:
        self.before_giving_up()
        partitions = {position.partition for position in positions}
        self._own(self._assigned - partitions)
        self._unknown -= partitions
        self._gone |= partitions
        self._queues.release(partitions)
        for partition in partitions:
            self._next.pop(partition, None)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error
        else:
            _LOG.warning("%s", error.str())


def _nothing() -> None: ...
