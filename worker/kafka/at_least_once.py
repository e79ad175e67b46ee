"""The at-least-once sink: every delivery report seen, then a synchronous commit of explicit offsets.

After a crash in between, records are doubled, never lost; a doubled one carries the same id, and the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Position

from worker.errors import DeliveryAborted, TransportError
from worker.kafka.errors import error_of, stopping
from worker.kafka.membership import is_member
from worker.kafka.native.library import Library
from worker.kafka.native.producer import NativeProducer
from worker.kafka.watchdog import Watchdog
from worker.records import Committable, OutgoingBatch

# The group has moved on without us: what was written stands, and whoever has the partitions now writes it again.
_MOVED_ON = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.STALE_MEMBER_EPOCH,
}


class AtLeastOnceSink:
    """Implements ``ports.RecordSink``."""

    def __init__(self, config: Mapping[str, Any], consumer: Consumer, watchdog: Watchdog, flush_seconds: float) -> None:
        self._producer = NativeProducer(Library(), config)
        self._consumer = consumer
        self._watchdog = watchdog
        self._flush_seconds = flush_seconds

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        try:
            for batch in outgoing:
                self._producer.put(batch)
        except BufferError as error:
            raise TransportError(f"produce: {error}") from None
        with self._watchdog.guard("flush", self._flush_seconds * 2):
            failure = self._producer.flush(self._flush_seconds)
        if failure is not None:
            raise stopping("produce", failure)
        self._commit(committable)

    def close(self) -> None:
        """Nothing is in flight between deliveries."""
        self._producer.close()

    def _commit(self, committable: Committable) -> None:
        # The client commits in its newest generation, and the broker does not ask who owns a partition: we must. Of one
        # that was thrown out it takes a commit, too, if the group has no other members.
        if not is_member(self._consumer, self._consumer.consumer_group_metadata()):
            raise DeliveryAborted("commit: the group has gone on without us")
        owned = {(p.topic, p.partition) for p in self._consumer.assignment()}
        if lost := [str(tp) for tp in committable.offsets if (tp.topic, tp.partition) not in owned]:
            raise DeliveryAborted(f"commit: {', '.join(lost)} went to another member")
        offsets = [
            Position(tp.topic, tp.partition, offset, committable.metadata.get(tp, ""))
            for tp, offset in committable.offsets.items()
        ]
        try:
            with self._watchdog.guard("commit"):
                positions = self._consumer.commit(offsets=offsets, asynchronous=False)
            failed = next((p.error for p in positions or () if p.error), None)
        except KafkaException as exception:
            failed = error_of(exception)
        if failed is None:
            return
        if failed.code() in _MOVED_ON:
            raise DeliveryAborted(f"commit: {failed.str()}")
        raise stopping("commit", failed)
