"""Where a partition starts when the group has no offset for it, and what is committed beside an offset."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # public, but not re-exported by name

from worker.errors import TransportError
from worker.kafka.errors import asked, error_of, is_passing, stopping
from worker.records import TopicPartition

TIMEOUT_SECONDS = 10.0
METADATA_SECONDS = 2.0


def ends(admin: AdminClient, topic: str, partitions: Collection[int]) -> dict[int, int]:
    """The next offsets behind the last records, whether or not their transactions are decided. Raises KafkaException."""
    asked = {Position(topic, partition): OffsetSpec.latest() for partition in partitions}  # type: ignore[no-untyped-call]  # the client leaves it untyped
    found = admin.list_offsets(asked, request_timeout=TIMEOUT_SECONDS)
    return {position.partition: future.result().offset for position, future in found.items()}


def bounds(admin: AdminClient, topic: str, partitions: Collection[int]) -> dict[int, tuple[int, int]]:
    """The offsets of the first records and those behind the last, likewise. Raises KafkaException."""
    asked = {Position(topic, partition): OffsetSpec.earliest() for partition in partitions}  # type: ignore[no-untyped-call]  # the client leaves it untyped
    found = admin.list_offsets(asked, request_timeout=TIMEOUT_SECONDS)
    starts = {position.partition: int(future.result().offset) for position, future in found.items()}
    return {partition: (starts[partition], end) for partition, end in ends(admin, topic, partitions).items()}


class CommittedOffsets:
    """The committed offsets of the group that a consumer is a member of."""

    def __init__(self, consumer: Consumer, start: str) -> None:
        self._consumer = consumer
        self._start = start

    def metadata(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, str] | None:
        """What was committed beside each partition's offset, empty where there is nothing; None: ask again later.

        While the group rebalances the coordinator may not answer: on our connection to it a JoinGroup waits for the member
        that takes longest, and what is asked after it waits, too. Nor does a broker that is the coordinator no more.
        """
        wanted = [Position(tp.topic, tp.partition) for tp in partitions]
        try:
            found = self._consumer.committed(wanted, timeout=METADATA_SECONDS)
        except KafkaException as error:
            if is_passing(error_of(error)):
                return None
            raise stopping("reading committed offsets", error_of(error)) from None
        return {TopicPartition(p.topic, p.partition): p.metadata or "" for p in found}

    def start_at(self, partitions: Sequence[TopicPartition]) -> None:
        """Resolve the configured start for partitions without an offset, commit it, and read on from there.

        Committed at once: with ``latest``, records that came between a crash and a first commit would be lost.
        Raises TransportError for a partition whose committed offset exists no longer: a reset would skip silently.
        """
        try:
            self._start_at(self._committed(partitions))
        except KafkaException as error:
            raise stopping("committing the start offset", error_of(error)) from None

    def _start_at(self, positions: Sequence[Position]) -> None:
        for position in positions:
            low, high = self._consumer.get_watermark_offsets(
                Position(position.topic, position.partition), timeout=TIMEOUT_SECONDS
            )
            if position.offset >= 0:
                raise TransportError(
                    f"{position.topic}[{position.partition}]: the committed offset {position.offset} is gone; "
                    f"the topic holds {low} to {high} (retention has passed it, or the topic was created anew)",
                    hint="decide where to go on and set it with kafka-consumer-groups.sh --reset-offsets; nothing was skipped",
                )
            at = Position(position.topic, position.partition, low if self._start == "earliest" else high)
            self._consumer.commit(offsets=[at], asynchronous=False)
            self._consumer.incremental_unassign([at])
            self._consumer.incremental_assign([at])

    def _committed(self, partitions: Sequence[TopicPartition]) -> list[Position]:
        wanted = [Position(tp.topic, tp.partition) for tp in partitions]
        try:
            return list(asked(lambda: self._consumer.committed(wanted, timeout=TIMEOUT_SECONDS), TIMEOUT_SECONDS))
        except KafkaException as error:
            raise stopping("reading committed offsets", error_of(error)) from None
