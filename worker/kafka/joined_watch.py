"""Which partitions of the labels, and of the predictions beside them, the joiners have read to their ends.

They commit past transaction markers, so that a partition is read to its end when the committed offset is it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Position

from worker.kafka.config import consumer_config
from worker.kafka.errors import client
from worker.quality.position import Position as JoinPosition
from worker.settings import Settings

TIMEOUT_SECONDS = 10.0


class JoinedOffsets:
    """What the joiners have committed, without being one of them."""

    def __init__(self, settings: Settings) -> None:
        self._topics = settings.topics
        own = {"group.id": settings.kafka.joiner_group, "isolation.level": "read_uncommitted"}
        self._group = client(Consumer, consumer_config(settings) | own)

    def positions(self, count: int) -> Mapping[int, tuple[int, int]]:
        """What the joiners have committed: the next offsets of predictions and labels, by partition.

        Raises KafkaException.
        """
        wanted = [Position(self._topics.labels, partition) for partition in range(count)]
        answered = self._group.committed(wanted, timeout=TIMEOUT_SECONDS)
        return {p.partition: _position(p.offset, p.metadata or "") for p in answered if p.error is None}

    def close(self) -> None:
        self._group.close()


class JoinedWatch(JoinedOffsets):
    """``ends`` asks for the next offsets behind the last records of partitions of a topic, decided or not."""

    def __init__(self, settings: Settings, ends: Callable[[str, range], dict[int, int]]) -> None:
        super().__init__(settings)
        self._ends = ends

    def joined(self, positions: Mapping[int, tuple[int, int]], count: int) -> frozenset[int]:
        """Of which all predictions and labels are joined. To be asked for after the workers' commits.

        Raises KafkaException.
        """
        predictions, labels = (
            self._ends(topic, range(count)) for topic in (self._topics.predictions, self._topics.labels)
        )
        return frozenset(p for p, at in positions.items() if at[0] >= predictions[p] and at[1] >= labels[p])


def _position(offset: int, metadata: str) -> tuple[int, int]:
    """(0, 0) where nobody has begun."""
    if offset < 0:
        return 0, 0
    try:
        found = JoinPosition.read(metadata)
    except ValueError:
        return 0, offset
    return found.predictions.next, found.labels.next
