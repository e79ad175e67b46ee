"""A delivery tried out: a transaction that is aborted, or one record there and back.

The transactional id begins with the group's name, as the worker's own does, so that the same ACLs apply. It is one id for
all times, and so the broker remembers one more.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from worker.errors import ConfigurationError, TransportError
from worker.kafka.config import admin_config, consumer_config, producer_config
from worker.kafka.errors import client, error_of, stopping
from worker.kafka.needed_rights import looking_group
from worker.kafka.rights import WRITE, Right, lacking
from worker.kafka.topics import partition_counts
from worker.settings import Settings

TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Probed:
    """``created``: the topic was made for the probe, and is gone again. ``seconds``: from handing over to reading back.

    ``ahead_seconds``: how far the broker's clock is ahead of ours, give or take ``seconds``; None where the topic keeps
    the producer's timestamps.
    """

    created: bool
    seconds: float
    ahead_seconds: float | None


def try_transaction(settings: Settings) -> float:
    """Begin a transaction as the worker would, and abort it; how many seconds that took.

    Raises ConfigurationError (not permitted) and TransportError.
    """
    begun = time.monotonic()
    producer = _producer(settings)
    try:
        producer.begin_transaction()
        producer.abort_transaction(TIMEOUT_SECONDS)
    except KafkaException as error:
        raise stopping("trying a transaction", error_of(error)) from None
    return time.monotonic() - begun


def probe(settings: Settings, topic: str) -> Probed:
    """Write one record to the topic in a transaction, and read it back committed.

    A topic that is not there is created, with timestamps by the broker's clock, and deleted. Raises ConfigurationError (a
    topic of the settings, not permitted) and TransportError.
    """
    if topic in settings.topics.model_dump().values():
        raise ConfigurationError(
            f"{topic} is a topic of the settings, where a probe would be taken for a record",
            hint="name another one; it is created, and deleted afterwards",
        )
    admin = client(AdminClient, admin_config(settings))
    created = topic not in partition_counts(admin_config(settings), [topic])
    try:
        if created:
            config = {"message.timestamp.type": "LogAppendTime"}
            admin.create_topics([NewTopic(topic, num_partitions=1, config=config)])[topic].result()
        seconds, ahead = _there_and_back(settings, topic)
    except KafkaException as error:
        raise stopping(f"probing {topic}", error_of(error)) from None
    finally:
        if created:
            admin.delete_topics([topic])[topic].exception()  # waited for; what failed before is more telling
    return Probed(created, seconds, ahead)


def _there_and_back(settings: Settings, topic: str) -> tuple[float, float | None]:
    consumer = client(Consumer, consumer_config(settings) | {"group.id": looking_group(settings, "doctor")})
    try:
        producer, mark = _producer(settings), uuid.uuid4().bytes
        written: list[Message] = []
        transactional = settings.delivery.mode == "exactly-once"
        begun, begun_wall = time.monotonic(), time.time()
        if transactional:
            producer.begin_transaction()
        producer.produce(topic, mark, partition=0, on_delivery=lambda _error, message: written.append(message))
        producer.flush(TIMEOUT_SECONDS)
        written_wall = time.time()
        if transactional:
            producer.commit_transaction(TIMEOUT_SECONDS)
        if not written:
            raise TransportError(f"the probe was not acknowledged within {TIMEOUT_SECONDS:.0f} s")
        if (error := written[0].error()) is not None:
            raise stopping(f"writing to {topic}", error)
        consumer.assign([Position(topic, 0, written[0].offset() or 0)])
        kind, timestamp_ms = _found(consumer, mark).timestamp()
        seconds = time.monotonic() - begun
        ahead = timestamp_ms / 1_000 - (begun_wall + written_wall) / 2
        return seconds, ahead if kind == TIMESTAMP_LOG_APPEND_TIME else None
    finally:
        consumer.close()


def _found(consumer: Consumer, mark: bytes) -> Message:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        message = consumer.poll(left)
        if message is None or message.error() is not None:
            continue
        if message.value() == mark:
            return message
    raise TransportError(f"the probe was written, and could not be read back within {TIMEOUT_SECONDS:.0f} s")


def _producer(settings: Settings) -> Producer:
    """Of the delivery mode; with its transactions initialised."""
    transactional = settings.delivery.mode == "exactly-once"
    transactional_id = f"{settings.kafka.group}-doctor"
    config: dict[str, Any] = producer_config(settings, transactional_id if transactional else None)
    producer = client(Producer, config)
    if transactional:
        try:
            producer.init_transactions(TIMEOUT_SECONDS)
        except KafkaException as exception:
            error: KafkaError = error_of(exception)
            if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
                raise lacking([Right(WRITE, "transactional id", transactional_id)]) from None
            raise stopping("initialising transactions", error) from None
    return producer
