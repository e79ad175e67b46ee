"""The joiners' group at one moment, and what it has not read yet of predictions and labels; asked from outside."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from worker.errors import ConfigurationError
from worker.kafka.config import admin_config
from worker.kafka.errors import asked, client, error_of, stopping
from worker.kafka.group_watch import TIMEOUT_SECONDS, described
from worker.kafka.joined_watch import JoinedOffsets
from worker.kafka.offsets import bounds
from worker.kafka.topics import CREATE, partition_counts
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class JoinersLook:
    """``state`` in Kafka's words. What is left to read: offsets, with the markers of transactions."""

    group: str
    state: str
    members: int
    predictions_lag: int
    labels_lag: int


class JoinerWatch:
    """Looks at the joiners again and again. A context manager: close it."""

    def __init__(self, settings: Settings) -> None:
        """Raises TransportError (no broker) and ConfigurationError (no topic of predictions or labels)."""
        topics = settings.topics
        self._group, self._topics = settings.kafka.joiner_group, (topics.predictions, topics.labels)
        self._admin_config = admin_config(settings)
        counts = partition_counts(self._admin_config, self._topics)
        if missing := [name for name in self._topics if name not in counts]:
            raise ConfigurationError(f"the topic {missing[0]} does not exist", hint=f"`{CREATE}` creates it")
        self._joined = JoinedOffsets(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._joined.close()

    def look(self) -> JoinersLook:
        """As of now. Raises TransportError, also for a broker that is only away for a moment."""
        admin = client(AdminClient, self._admin_config)
        try:
            # Both: a client that has not heard of a topic yet can't ask for its offsets.
            count = min(
                len(admin.list_topics(name, timeout=TIMEOUT_SECONDS).topics[name].partitions) for name in self._topics
            )
            at = asked(lambda: self._joined.positions(count), TIMEOUT_SECONDS)
            left = [
                sum(max(0, end - max(start, at[p][which])) for p, (start, end) in bounds(admin, topic, at).items())
                for which, topic in enumerate(self._topics)
            ]
            state, members = described(admin, self._group, self._topics[1])
        except KafkaException as error:
            raise stopping(f"looking at group {self._group}", error_of(error)) from None
        return JoinersLook(self._group, state, len(members), *left)
