"""What a broker says of itself, of topics and of what we may do with them. Nothing is consumed, written or changed."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicCollection, libversion
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec  # type: ignore[attr-defined]  # public, but not re-exported by name
from confluent_kafka.cimpl import TopicPartition as Position

from worker.errors import TransportError
from worker.kafka.config import admin_config
from worker.kafka.errors import asked, client, error_of, stopping
from worker.settings import Settings

TIMEOUT_SECONDS = 10.0
FIRST_ANSWER_SECONDS = 5.0  # whoever asks is waiting, and most often it is the address that is wrong
_ABSENT = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}  # noqa: SLF001 - a public code
_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
# How librdkafka tells, at debug level, which requests a broker answers: "ApiKey Produce (0) Versions 0..13".
_API = re.compile(r"ApiKey \S+ \((\d+)\) Versions \d+\.\.(\d+)")

Operations = frozenset[str] | None
"""Names such as READ and WRITE; None: the broker does not say."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """``settings``: of one broker, None where they may not be read. ``apis``: the highest version of each request, by its number."""

    brokers: Sequence[str]
    settings: Mapping[str, str] | None
    apis: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One that exists. ``replication``: the least of its partitions; ``offline``, ``behind``: partitions without a leader, or
    with a replica that is not in sync. ``settings``: None where they may not be read.
    """

    name: str
    partitions: int
    replication: int
    offline: int
    behind: int
    settings: Mapping[str, str] | None
    operations: Operations


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """``members``: how many; ``state`` in Kafka's words. ``allowed`` is False where the group may not be described."""

    state: str
    members: int
    operations: Operations
    allowed: bool = True


def client_version() -> str:
    """Of librdkafka."""
    return str(libversion()[0])


class BrokerFacts:
    """Asks one cluster."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._apis = _Apis()
        # With a log of its own: which requests are answered is told nowhere else.
        config = admin_config(settings) | {"debug": "feature", "logger": self._apis}
        self._admin = client(AdminClient, config)

    def cluster(self) -> ClusterFacts:
        """Raises TransportError when no broker answers."""
        try:
            known = self._admin.list_topics(timeout=FIRST_ANSWER_SECONDS)
        except KafkaException as error:
            bootstrap = self._settings.kafka.bootstrap
            raise TransportError(
                f"no broker answers at {bootstrap} ({error_of(error).str()})",
                hint="check kafka.bootstrap and the security options; `prediction-worker broker` starts one for development",
            ) from None
        self._admin.poll(0)
        brokers = sorted(known.brokers.values(), key=lambda broker: int(broker.id))
        settings = self._configs(ConfigResource.Type.BROKER, [str(broker.id) for broker in brokers[:1]])
        return ClusterFacts(
            brokers=[f"{broker.host}:{broker.port}" for broker in brokers],
            settings=next(iter(settings.values()), None),
            apis=dict(self._apis.highest),
        )

    def topics(self, names: Sequence[str]) -> dict[str, TopicFacts | None]:
        """None: it exists, and may not be described. One that does not exist is left out. Raises TransportError."""
        futures = self._admin.describe_topics(
            TopicCollection(list(names)), include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS
        )
        found = {name: _answer(future.result, f"describing {name}") for name, future in futures.items()}
        there = [name for name, answer in found.items() if not isinstance(answer, KafkaError)]
        settings = self._configs(ConfigResource.Type.TOPIC, there)
        facts: dict[str, TopicFacts | None] = {name: _topic(found[name], settings[name]) for name in there}
        denied = {n: None for n, e in found.items() if isinstance(e, KafkaError) and e.code() in _DENIED}
        return facts | denied

    def group(self, name: str) -> GroupFacts:
        """Raises TransportError."""
        describe = self._admin.describe_consumer_groups

        def answer() -> Any:
            told = describe([name], include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS)
            return told[name].result()

        found = _answer(answer, f"describing group {name}")
        if isinstance(found, KafkaError):
            # Brokers of Kafka 4.0 say of a group that nobody has joined yet that it is not found.
            return GroupFacts("DEAD", 0, None, allowed=found.code() not in _DENIED)
        state = found.state if isinstance(found.state, ConsumerGroupState) else ConsumerGroupState.UNKNOWN
        return GroupFacts(state.name, len(found.members), _operations(found.authorized_operations))

    def newest_timestamp_ms(self, topic: str, partitions: int) -> int | None:
        """The highest record timestamp of a topic; None: it holds none. Raises TransportError."""
        wanted = {Position(topic, p): OffsetSpec.max_timestamp() for p in range(partitions)}  # type: ignore[no-untyped-call]  # the client leaves it untyped
        futures = self._admin.list_offsets(wanted, request_timeout=TIMEOUT_SECONDS)
        try:
            found = [future.result().timestamp for future in futures.values()]
        except KafkaException as error:
            raise stopping(f"reading the newest timestamps of {topic}", error_of(error)) from None
        return max((int(timestamp) for timestamp in found if timestamp >= 0), default=None)

    def _configs(self, kind: Any, names: Sequence[str]) -> dict[str, Mapping[str, str] | None]:
        if not names:
            return {}
        resources = [ConfigResource(kind, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        found: dict[str, Mapping[str, str] | None] = {}
        for resource, future in futures.items():
            answer = _answer(future.result, f"reading the settings of {resource.name}")
            denied = isinstance(answer, KafkaError)
            found[resource.name] = None if denied else {name: entry.value for name, entry in answer.items()}
        return found


class _Apis(logging.Logger):
    """Takes librdkafka's log lines, keeps what they say of a broker's requests, and passes none on."""

    def __init__(self) -> None:
        super().__init__("apis", logging.DEBUG)
        self.highest: dict[int, int] = {}

    def log(self, level: int, msg: object, *args: object, **_: Any) -> None:  # noqa: ARG002 - logging's signature
        for number, highest in _API.findall(str(msg) % args if args else str(msg)):
            self.highest[int(number)] = int(highest)


def _answer(question: Callable[[], Any], call: str) -> Any:
    """What was answered, or the KafkaError of what is not there or not permitted. Raises TransportError for any other."""
    try:
        return asked(question, TIMEOUT_SECONDS)
    except KafkaException as exception:
        error = error_of(exception)
        if error.code() in _ABSENT | _DENIED | {KafkaError.GROUP_ID_NOT_FOUND}:
            return error
        raise stopping(call, error) from None


def _topic(found: Any, settings: Mapping[str, str] | None) -> TopicFacts:
    partitions = found.partitions
    return TopicFacts(
        name=found.name,
        partitions=len(partitions),
        replication=min((len(partition.replicas) for partition in partitions), default=0),
        offline=sum(partition.leader is None or partition.leader.id < 0 for partition in partitions),
        behind=sum(len(partition.isr) < len(partition.replicas) for partition in partitions),
        settings=settings,
        operations=_operations(found.authorized_operations),
    )


def _operations(found: Any) -> Operations:
    return None if found is None else frozenset(operation.name for operation in found)
