"""Partitions that a dead-letter limit has stopped, and how they are let go on.

What stopped a partition stands in the metadata of its committed offset; to resume is to commit the same offset without
it. Only while nobody is a member of the group: the broker refuses a commit from outside otherwise.

Through a consumer and not the admin client, whose ``list_consumer_group_offsets`` ends the process with a segmentation
fault when the broker answers that it is not the group's coordinator (librdkafka 2.16, on a broker's first request).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Position

from worker.errors import ConfigurationError
from worker.kafka.config import admin_config, consumer_config
from worker.kafka.errors import asked, error_of, stopping
from worker.kafka.topics import CREATE, partition_counts
from worker.pipeline.partition_state import PartitionState
from worker.settings import Settings

TIMEOUT_SECONDS = 10.0
_IN_USE = {
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.STALE_MEMBER_EPOCH,
}


@dataclass(frozen=True, slots=True)
class Stopped:
    """A partition of the input that makes no progress, the offset at which it stands, and why."""

    partition: int
    offset: int
    why: str


def stopped_partitions(settings: Settings) -> list[Stopped]:
    """In order of the partitions. Raises ConfigurationError (no input topic) and TransportError."""
    with _outsider(settings) as consumer:
        found = _stopped(consumer, settings)
    return [Stopped(p.partition, p.offset, _tripped(p)) for p in found]


def resume(settings: Settings, partitions: Sequence[int]) -> list[int]:
    """Let the stopped ones among these go on; those that were stopped still.

    The offsets are read anew, so one that moved since somebody looked is not set back. Raises ConfigurationError when
    the group has members.
    """
    with _outsider(settings) as consumer:
        positions = [
            Position(p.topic, p.partition, p.offset, _resumed(p))
            for p in _stopped(consumer, settings)
            if p.partition in partitions
        ]
        if not positions:
            return []
        try:
            answered = consumer.commit(offsets=positions, asynchronous=False)
            failed = next((p.error for p in answered or () if p.error), None)
        except KafkaException as exception:
            failed = error_of(exception)
    if failed is not None and failed.code() in _IN_USE:
        raise ConfigurationError(
            f"workers of group {settings.kafka.group} are running, so nothing was resumed",
            hint="stop them first, and try again; one that was killed counts as running for some seconds (6 by default)",
        )
    if failed is not None:
        raise stopping("commit", failed)
    return [position.partition for position in positions]


@contextmanager
def _outsider(settings: Settings) -> Iterator[Consumer]:
    """Knows the group's offsets without being a member."""
    consumer = Consumer(consumer_config(settings))
    try:
        yield consumer
    finally:
        consumer.close()


def _stopped(consumer: Consumer, settings: Settings) -> list[Position]:
    topic = settings.topics.input
    count = partition_counts(admin_config(settings), [topic]).get(topic)
    if count is None:
        raise ConfigurationError(f"the input topic {topic} does not exist", hint=f"`{CREATE}` creates it")
    try:
        wanted = [Position(topic, partition) for partition in range(count)]
        committed = asked(lambda: consumer.committed(wanted, TIMEOUT_SECONDS), TIMEOUT_SECONDS)
    except KafkaException as error:
        raise stopping("reading committed offsets", error_of(error)) from None
    return [p for p in committed if _tripped(p)]


def _tripped(position: Position) -> str:
    """Why the partition had stopped; empty if it had not."""
    return PartitionState.read(position.metadata or "").counters.tripped


def _resumed(position: Position) -> str:
    """The metadata without what has stopped the partition; how far event time has come stays."""
    watermark_ms = PartitionState.read(position.metadata or "").watermark_ms
    return PartitionState(watermark_ms=watermark_ms).text() if watermark_ms else ""
