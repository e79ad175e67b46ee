"""Create topics on a development broker, and wait until they can be used."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from worker.errors import ConfigurationError, TransportError

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.02


def create_topics(
    bootstrap: str, partitions: Mapping[str, int], config: Mapping[str, str] | None = None
) -> frozenset[str]:
    """Create each topic with so many partitions and replication factor 1; returns those that were not there before.

    Returns once every partition has a leader, so a client that subscribes next finds the topic. A topic that exists
    with the same number of partitions is left as it is. Raises ConfigurationError (refused by the broker, or another
    number of partitions) and TransportError (no answer in time).
    """
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    topics = [NewTopic(name, count, 1, config=dict(config or {})) for name, count in partitions.items()]
    if not topics:
        return frozenset()
    created = frozenset(name for name, future in _ask(client, topics).items() if _created(name, future))
    _check_existing(client, {name: count for name, count in partitions.items() if name not in created})
    await_leaders(client, {name: count for name, count in partitions.items() if name in created})
    return created


def _ask(client: AdminClient, topics: list[NewTopic]) -> dict[str, Future[None]]:
    futures: dict[str, Future[None]] = client.create_topics(
        topics, operation_timeout=TIMEOUT_SECONDS, request_timeout=TIMEOUT_SECONDS
    )
    return futures


def _created(name: str, future: Future[None]) -> bool:
    """False: it was there already."""
    try:
        future.result()
    except KafkaException as failure:
        error: KafkaError = failure.args[0]
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if error.code() < 0:  # librdkafka's own: the broker was never asked, or never answered
            raise TransportError(f"topic {name!r} could not be created: {error.str()}") from failure
        raise ConfigurationError(f"topic {name!r} was refused: {error.str()}") from failure
    return True


def _check_existing(client: AdminClient, partitions: Mapping[str, int]) -> None:
    known = client.list_topics(timeout=TIMEOUT_SECONDS).topics if partitions else {}
    problems = [
        f"topic {name!r} exists with {len(known[name].partitions)} partitions, not {count}"
        for name, count in partitions.items()
        if name in known and len(known[name].partitions) != count
    ]
    if problems:
        raise ConfigurationError(problems)


def await_leaders(client: AdminClient, partitions: Mapping[str, int]) -> None:
    """Until every one of so many partitions has a leader, so that a client that subscribes next finds the topics.

    Raises TransportError.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while waiting := _without_leader(client, partitions):
        if time.monotonic() > deadline:
            raise TransportError(f"topics without a leader after {TIMEOUT_SECONDS:g} s: {', '.join(waiting)}")
        time.sleep(POLL_SECONDS)


def _without_leader(client: AdminClient, partitions: Mapping[str, int]) -> list[str]:
    known = client.list_topics(timeout=TIMEOUT_SECONDS).topics if partitions else {}
    led = {name: sum(p.leader >= 0 for p in topic.partitions.values()) for name, topic in known.items()}
    return [name for name, count in partitions.items() if led.get(name, 0) < count]
