"""A group and its topics at one moment, asked from outside: nobody joins, nothing is consumed or committed.

Each look has an admin client of its own, and asks for the topic's partitions first. In librdkafka 2.16 one that lives
through the end of its broker keeps an old leader epoch, by which it is refused for good, and a group that is described
while no broker answers can end the process (an assertion, ``eonce->refcnt > 0``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient

from worker.errors import ConfigurationError
from worker.kafka.config import admin_config, consumer_config
from worker.kafka.errors import asked, client, error_of, stopping
from worker.kafka.offsets import bounds
from worker.kafka.topics import CREATE, partition_counts
from worker.pipeline.partition_state import PartitionState
from worker.settings import Settings

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Member:
    """``identity`` is the one that the group knows it by; ``partitions`` of the input that it has."""

    identity: str
    host: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """One partition of the input: the group's next offset (-1: none yet), the first and next offset of the log, and, where
    a dead-letter limit has stopped it, why.
    """

    committed: int
    start: int
    end: int
    stopped: str = ""

    @property
    def lag(self) -> int:
        return max(0, self.end - (self.committed if self.committed >= 0 else self.start))


@dataclass(frozen=True, slots=True)
class GroupLook:
    """``state`` in Kafka's words; ``progress`` by partition."""

    state: str
    members: Sequence[Member]
    progress: Mapping[int, Progress]


class GroupWatch:
    """Looks at one group and its input again and again. A context manager: close it."""

    def __init__(self, settings: Settings) -> None:
        """Raises TransportError (no broker) and ConfigurationError (no input topic)."""
        self._group, self._input = settings.kafka.group, settings.topics.input
        self._admin_config = admin_config(settings)
        if self._input not in partition_counts(self._admin_config, [self._input]):
            raise ConfigurationError(f"the input topic {self._input} does not exist", hint=f"`{CREATE}` creates it")
        # What is committed, at once: a reader of committed records would be made to wait for open transactions.
        self._offsets = client(Consumer, consumer_config(settings) | {"isolation.level": "read_uncommitted"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._offsets.close()

    def look(self) -> GroupLook:
        """As of now. Raises TransportError, also for a broker that is only away for a moment."""
        admin = client(AdminClient, self._admin_config)
        try:
            topic = admin.list_topics(self._input, timeout=TIMEOUT_SECONDS).topics[self._input]
            progress = self._progress(admin, range(len(topic.partitions)))
            state, members = described(admin, self._group, self._input)
        except KafkaException as error:
            raise stopping(f"looking at group {self._group}", error_of(error)) from None
        return GroupLook(state, members, progress)

    def _progress(self, admin: AdminClient, partitions: range) -> dict[int, Progress]:
        """Committed offsets are asked for first, so that a lag is never negative."""
        wanted = [Position(self._input, partition) for partition in partitions]
        answered = asked(lambda: self._offsets.committed(wanted, timeout=TIMEOUT_SECONDS), TIMEOUT_SECONDS)
        committed = {position.partition: position for position in answered}

        found = bounds(admin, self._input, partitions)
        return {
            partition: Progress(
                committed=committed[partition].offset,
                start=found[partition][0],
                end=found[partition][1],
                stopped=PartitionState.read(committed[partition].metadata or "").counters.tripped,
            )
            for partition in partitions
        }


def described(admin: AdminClient, group: str, topic: str) -> tuple[str, list[Member]]:
    """The state of a group, and its members with their partitions of the topic. Raises KafkaException."""

    def answer() -> Any:
        return admin.describe_consumer_groups([group], request_timeout=TIMEOUT_SECONDS)[group].result()

    try:
        found = asked(answer, TIMEOUT_SECONDS)
    except KafkaException as error:
        if error_of(error).code() == KafkaError.GROUP_ID_NOT_FOUND:  # nobody has joined it yet
            return "empty", []
        raise
    members = [
        Member(
            member.member_id,
            member.host.lstrip("/"),
            tuple(sorted(p.partition for p in member.assignment.topic_partitions if p.topic == topic)),
        )
        for member in found.members
    ]
    state = found.state if isinstance(found.state, ConsumerGroupState) else ConsumerGroupState.UNKNOWN
    return state.name.lower().replace("_", " "), sorted(members, key=lambda member: member.partitions or (1 << 31,))
