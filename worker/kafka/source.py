"""The consuming edge: one member of the group, whole batches at a time.

Rules: partitions change hands only inside ``poll``, when no transaction is open; the rebalance callbacks only note
what happened. If partitions were lost while a batch was gathered, the batch is dropped and what is still ours is read
again. The consumer never rewinds by itself after an abort: ``rewind`` must be called, or records are lost silently.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position

from worker.errors import TransportError
from worker.kafka.batches import batch_of
from worker.kafka.errors import client, error_of, stopping
from worker.kafka.offsets import CommittedOffsets
from worker.ports import Fetch, FetchLimit
from worker.records import RecordBatch, TopicPartition

_LOG = logging.getLogger(__name__)
_NO_OFFSET = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 - a public code: no offset for a partition, or out of range
# Passing by themselves: librdkafka goes on reconnecting, and a delivery that can't be made has deadlines of its own.
_PASSING = {
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - we have left the group, and join again with the next poll
}


class KafkaSource:
    """Implements ``ports.RecordSource``.

    ``max_bytes`` of a limit is not counted record by record: the batch size follows the mean size of records, and the
    client never holds more than it prefetches (``queued.max.messages.kbytes``).
    """

    def __init__(self, config: Mapping[str, Any], topic: str, start: str) -> None:
        self._topic = topic
        self._consumer = client(Consumer, {**config, "error_cb": self._on_error})
        self._offsets = CommittedOffsets(self._consumer, start)
        self._assigned: set[int] = set()
        self._unknown: set[int] = set()  # ours, but the metadata committed for them has not been read yet
        self._gone: set[int] = set()
        self._next: dict[int, int] = {}
        self._fatal: KafkaError | None = None
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    @property
    def consumer(self) -> Consumer:
        """For the at-least-once sink, which commits through the same group member."""
        return self._consumer

    def poll(self, limit: FetchLimit) -> Fetch:
        self._gone.clear()
        messages = self._gather(limit)
        if self._fatal is not None:
            raise stopping("consume", self._fatal)
        unassigned = frozenset(TopicPartition(self._topic, p) for p in self._gone)
        if self._gone and messages:
            _LOG.info("partitions %s were given up while a batch was gathered: reading it again", sorted(self._gone))
            self._drop(batch_of(messages))
            messages = []
        if not messages:
            return Fetch(unassigned=unassigned)
        batch = batch_of(messages)
        if not self._consumer.memberid():
            # Thrown out while we slept: the next poll gives the partitions up and joins again.
            self._seek(batch.first_offsets())
            return Fetch(unassigned=unassigned)
        known = self._metadata(batch)
        self._next.update({tp.partition: offset for tp, offset in batch.next_offsets().items()})
        return Fetch(batch, self._consumer.consumer_group_metadata(), known, unassigned)

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
        return frozenset(TopicPartition(self._topic, partition) for partition in self._assigned)

    def close(self) -> None:
        self._consumer.close()

    def _gather(self, limit: FetchLimit) -> list[Message]:
        """Wait for a first record, then take what is there: ``consume`` with a time-out would wait in 200 ms slices."""
        try:
            first = self._consumer.poll(limit.timeout_seconds)
            if first is None:
                return []
            rest = self._consumer.consume(limit.max_records - 1, 0) if limit.max_records > 1 else []
        except KafkaException as error:
            raise stopping("consume", error_of(error)) from None
        return self._records([first, *rest])

    def _records(self, messages: Iterable[Message]) -> list[Message]:
        """The records among the events; an event that is an error is dealt with here."""
        records, startless = [], []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == _NO_OFFSET:
                startless.append(message.partition())
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TransportError(f"topic {self._topic} does not exist any more", hint="create it, then start again")
            elif error.fatal() or error.code() not in _PASSING:
                raise stopping("consume", error)
            else:
                _LOG.warning("consume: %s", error.str())
        ours = [p for p in startless if p is not None and p in self._assigned]
        if ours:
            self._offsets.start_at([TopicPartition(self._topic, p) for p in ours])
        return [record for record in records if record.partition() in self._assigned]

    def _metadata(self, batch: RecordBatch) -> dict[TopicPartition, str]:
        """The metadata committed for the batch's partitions that are new to us."""
        new = [tp for tp in batch.first_offsets() if tp.partition in self._unknown]
        if not new:
            return {}
        metadata = self._offsets.metadata(new)
        self._unknown -= {tp.partition for tp in new}
        return metadata

    def _drop(self, batch: RecordBatch) -> None:
        """Read the batch again; but what was lost and is ours again, from where the group stands.

        Its records may be from before we lost it (somebody may have gone on since) or from after.
        """
        first = batch.first_offsets()
        self._seek({tp: offset for tp, offset in first.items() if tp.partition not in self._gone})
        regained = [tp for tp in first if tp.partition in self._gone & self._assigned]
        if regained:
            self._offsets.go_back_to(regained)

    def _seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        for tp, offset in offsets.items():
            if tp.partition in self._assigned:
                self._consumer.seek(Position(tp.topic, tp.partition, offset))
                self._next[tp.partition] = offset

    def _on_assign(self, _: Consumer, positions: list[Position]) -> None:
        partitions = {position.partition for position in positions}
        self._assigned |= partitions
        self._unknown |= partitions

    def _on_revoke(self, _: Consumer, positions: list[Position]) -> None:
        partitions = {position.partition for position in positions}
        self._assigned -= partitions
        self._unknown -= partitions
        self._gone |= partitions
        for partition in partitions:
            self._next.pop(partition, None)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error
        else:
            _LOG.warning("%s", error.str())
