"""Write and read whole topics, for tests on a real broker."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from worker.broker.topics import create_topics
from worker.records import Record

Isolation = Literal["read_committed", "read_uncommitted"]
TIMEOUT_SECONDS = 30.0
BATCH = 10_000


def make_topic(
    bootstrap: str, *, partitions: int = 1, name_prefix: str = "test", config: Mapping[str, str] | None = None
) -> str:
    """A topic that nobody else has; it can be used at once."""
    name = f"{name_prefix}-{uuid.uuid4().hex[:12]}"
    create_topics(bootstrap, {name: partitions}, config)
    return name


def produce_all(bootstrap: str, topic: str, records: Iterable[Record]) -> None:
    """Write the records, each to its own partition, and return when all are acknowledged by the broker.

    Key, value, headers and (if positive) timestamp are taken from the record; its topic and offset are not.
    """
    failures: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 0})
    for record in records:
        _produce(producer, topic, record, failures)
    left = producer.flush(TIMEOUT_SECONDS)
    assert not failures, f"{len(failures)} records were not written to {topic}, the first because: {failures[0]}"
    assert left == 0, f"{left} records were not acknowledged on {topic} within {TIMEOUT_SECONDS:g} s"


def _produce(producer: Producer, topic: str, record: Record, failures: list[KafkaError]) -> None:
    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    options: dict[str, Any] = {"headers": list(record.headers)} if record.headers else {}
    if record.timestamp_ms > 0:
        options["timestamp"] = record.timestamp_ms
    while True:
        try:
            producer.produce(
                topic, record.value, record.key, partition=record.partition, on_delivery=delivered, **options
            )
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def read_all(
    bootstrap: str,
    topic: str,
    isolation: Isolation = "read_committed",
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> list[Record]:
    """Every record of the topic from its beginning to its end, by partition and offset.

    The end is the high watermark as read_uncommitted sees it, taken first. A reader that is kept from getting there
    (a transaction that hangs) fails, instead of returning less than there is: when it has come no further for so long.
    """
    ends = high_watermarks(bootstrap, topic)
    records: list[Record] = []
    with _consumer(bootstrap, isolation) as consumer:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        reached = dict.fromkeys(ends, 0)
        advanced_at = time.monotonic()
        while behind := {partition: reached[partition] for partition, end in ends.items() if reached[partition] < end}:
            if time.monotonic() > advanced_at + timeout_seconds:
                raise AssertionError(_stuck(topic, behind, ends, isolation, timeout_seconds))
            for message in consumer.consume(BATCH, timeout=0.2):
                _take(message, records, reached)
                advanced_at = time.monotonic()
    return sorted(
        (record for record in records if record.offset < ends[record.partition]),
        key=lambda record: (record.partition, record.offset),
    )


def high_watermarks(bootstrap: str, topic: str) -> dict[int, int]:
    """The end offset of each partition, whatever transactions are open."""
    with _consumer(bootstrap, "read_uncommitted") as consumer:
        found = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS)[1]
            for partition in sorted(found.partitions)
        }


def _take(message: Message, records: list[Record], reached: dict[int, int]) -> None:
    error, partition, offset = message.error(), message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    if error is None:
        records.append(to_record(message))
        reached[partition] = offset + 1
    elif error.code() == KafkaError._PARTITION_EOF:
        # Its offset has passed what is not delivered: transaction markers and aborted records.
        reached[partition] = max(reached[partition], offset)
    else:
        raise KafkaException(error)


def to_record(message: Message) -> Record:
    headers: Any = message.headers() or []
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple((name, _bytes(value)) for name, value in headers),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _stuck(
    topic: str, behind: Mapping[int, int], ends: Mapping[int, int], isolation: Isolation, timeout_seconds: float
) -> str:
    where = ", ".join(f"partition {partition} at {at} of {ends[partition]}" for partition, at in behind.items())
    return f"{topic} could not be read to its end ({isolation}): no further for {timeout_seconds:g} s, a transaction hangs? {where}"


@contextlib.contextmanager
def _consumer(bootstrap: str, isolation: Isolation) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "read-all",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()
