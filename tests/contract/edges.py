"""The two edges that the one suite runs on, behind the same few words."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient

from tests.support import kafka as real
from tests.support.brokers import KafkaUnderTest
from worker.clock import SystemClock
from worker.kafka.at_least_once import AtLeastOnceSink
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.source import KafkaSource
from worker.kafka.transactional import TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.ports import Fetch, FetchLimit, RecordSink, RecordSource
from worker.records import OutgoingBatch, Record, RecordBatch, TopicPartition
from worker.settings import Delivery, Event, Kafka, Mode, Model, Settings, Topics
from worker.testing import (
    CommittedOffset,
    InMemoryAtLeastOnceSink,
    InMemoryKafka,
    InMemoryProducer,
    InMemorySink,
    InMemorySource,
)

Start = Literal["earliest", "latest"]
LIMIT = FetchLimit(max_records=1_000, max_bytes=16_000_000, timeout_seconds=0.2)
DEADLINE_SECONDS = 30.0


def poll_until(source: RecordSource, enough: Callable[[list[Fetch]], bool], limit: FetchLimit = LIMIT) -> list[Fetch]:
    """All fetches until there are enough; fails when that takes too long."""
    fetches: list[Fetch] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not enough(fetches):
        assert time.monotonic() < deadline, f"not enough after {len(fetches)} polls"
        fetches.append(source.poll(limit))
    return fetches


def records_of(fetches: Sequence[Fetch]) -> list[Record]:
    return [record for fetch in fetches if fetch.batch for record in rows(fetch.batch)]


def rows(batch: RecordBatch) -> list[Record]:
    return [batch.record(i) for i in range(len(batch))]


def read_records(source: RecordSource, count: int, limit: FetchLimit = LIMIT) -> list[Record]:
    """Exactly so many records; more than that in the last fetch fails."""
    records = records_of(poll_until(source, lambda fetches: len(records_of(fetches)) >= count, limit))
    assert len(records) == count
    return records


def read_batch(source: RecordSource, count: int) -> Fetch:
    """One fetch that holds exactly so many records, however the first polls cut them."""
    fetches = poll_until(source, lambda fetches: len(records_of(fetches)) >= count)
    last = fetches[-1]
    if last.batch is not None and len(last.batch) == count:
        return last
    for fetch in reversed(fetches):
        if fetch.batch is not None:
            source.rewind(fetch.batch)
    return read_batch(source, count)


def values_of(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def some(count: int, partition: int = 0, prefix: str = "v") -> list[Record]:
    return [Record("", partition, 0, 0, f"k{i}".encode(), f"{prefix}{partition}-{i}".encode()) for i in range(count)]


def outgoing(topic: str, records: Sequence[Record]) -> OutgoingBatch:
    batch = RecordBatch.of(records)
    return OutgoingBatch(topic, batch.partition, batch.keys, batch.values, batch.headers)


class Edges(Protocol):
    """What the suite needs of a broker besides the ports."""

    def topic(self, partitions: int = 1) -> str: ...
    def write(self, topic: str, records: Sequence[Record]) -> None: ...
    def write_transaction(self, topic: str, records: Sequence[Record], *, commit: bool) -> None: ...
    def open_transaction(self, topic: str, records: Sequence[Record]) -> Callable[[], None]:
        """Returns what commits it."""
        ...

    def read(self, topic: str) -> list[Record]:
        """As a read_committed reader sees it."""
        ...

    def committed(self, group: str, topic: str) -> Mapping[TopicPartition, CommittedOffset]: ...
    def delete_records(self, topic: str, partition: int, before: int) -> None: ...
    def source(self, topic: str, group: str, start: Start = "earliest") -> RecordSource: ...
    def sink(self, source: RecordSource, group: str, mode: Mode, name: str) -> RecordSink:
        """``name`` tells transactional ids apart."""
        ...


@dataclass(slots=True)
class InMemoryEdges:
    kafka: InMemoryKafka = field(default_factory=InMemoryKafka)
    _topics: int = 0

    def topic(self, partitions: int = 1) -> str:
        self._topics += 1
        name = f"topic-{self._topics}"
        self.kafka.create_topic(name, partitions)
        return name

    def write(self, topic: str, records: Sequence[Record]) -> None:
        self.kafka.append(topic, records)

    def write_transaction(self, topic: str, records: Sequence[Record], *, commit: bool) -> None:
        producer = self._producer(topic, records)
        if commit:
            producer.commit()
        else:
            producer.abort()

    def open_transaction(self, topic: str, records: Sequence[Record]) -> Callable[[], None]:
        return self._producer(topic, records).commit

    def read(self, topic: str) -> list[Record]:
        return self.kafka.records(topic)

    def committed(self, group: str, topic: str) -> Mapping[TopicPartition, CommittedOffset]:
        return {tp: offset for tp, offset in self.kafka.committed(group).items() if tp.topic == topic}

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        self.kafka.delete_records(topic, partition, before)

    def source(self, topic: str, group: str, start: Start = "earliest") -> RecordSource:
        return InMemorySource(self.kafka, topic, group, start)

    def sink(self, source: RecordSource, group: str, mode: Mode, name: str) -> RecordSink:
        if mode == "exactly-once":
            return InMemorySink(self.kafka, group, name)
        return InMemoryAtLeastOnceSink(self.kafka, group)

    def _producer(self, topic: str, records: Sequence[Record]) -> InMemoryProducer:
        producer = self.kafka.producer(f"upstream-{uuid.uuid4().hex}")
        producer.begin()
        producer.produce(outgoing(topic, [_on(topic, record) for record in records]))
        return producer


@dataclass(slots=True)
class RealEdges:
    bootstrap: str
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def topic(self, partitions: int = 1) -> str:
        return real.make_topic(self.bootstrap, partitions=partitions)

    def write(self, topic: str, records: Sequence[Record]) -> None:
        real.produce_all(self.bootstrap, topic, records)

    def write_transaction(self, topic: str, records: Sequence[Record], *, commit: bool) -> None:
        producer = self._producer(topic, records)
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()

    def open_transaction(self, topic: str, records: Sequence[Record]) -> Callable[[], None]:
        return self._producer(topic, records).commit_transaction

    def read(self, topic: str) -> list[Record]:
        return real.read_all(self.bootstrap, topic)

    def committed(self, group: str, topic: str) -> Mapping[TopicPartition, CommittedOffset]:
        partitions = real.high_watermarks(self.bootstrap, topic)
        with Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0}) as consumer:
            found = consumer.committed([Position(topic, p) for p in partitions], timeout=10)
        return {
            TopicPartition(topic, p.partition): CommittedOffset(p.offset, p.metadata or "")
            for p in found
            if p.offset >= 0
        }

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for future in admin.delete_records([Position(topic, partition, before)]).values():
            future.result()

    def source(self, topic: str, group: str, start: Start = "earliest") -> RecordSource:
        source = KafkaSource(consumer_config(self._settings(group)), topic, start)
        self._stack.callback(_close, source)
        return source

    def sink(self, source: RecordSource, group: str, mode: Mode, name: str) -> RecordSink:
        settings, clock = self._settings(group), SystemClock()
        watchdog = Watchdog(15, clock)
        if mode == "exactly-once":
            config = producer_config(settings, f"{group}-{name}")
            return TransactionalSink(config, watchdog, clock, 30)
        return AtLeastOnceSink(producer_config(settings, None), cast("KafkaSource", source), watchdog, clock, 30)

    def close(self) -> None:
        self._stack.close()

    def _producer(self, topic: str, records: Sequence[Record]) -> Producer:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": uuid.uuid4().hex, "log_level": 0})
        producer.init_transactions()
        producer.begin_transaction()
        for record in records:
            producer.produce(topic, record.value, record.key, record.partition)
        assert producer.flush(10) == 0
        return producer

    def _settings(self, group: str) -> Settings:
        return Settings(
            kafka=Kafka(bootstrap=self.bootstrap, group=group, options={"log_level": 0}),
            topics=Topics(input="unused"),
            event=Event(schema=Path("unused")),
            model=Model(bundle=Path("unused")),
            delivery=Delivery(),
        )


def _on(topic: str, record: Record) -> Record:
    return Record(topic, record.partition, 0, 0, record.key, record.value, record.headers)


def _close(source: RecordSource) -> None:
    with contextlib.suppress(RuntimeError):  # the test has closed it
        source.close()


EDGES = ["in-memory", pytest.param("real", marks=pytest.mark.kafka)]


def edges_for(request: pytest.FixtureRequest) -> Iterator[Edges]:
    """For a fixture with ``params=EDGES``: only the real one asks for a broker, so ``-m "not kafka"`` keeps the other."""
    if request.param == "in-memory":
        yield InMemoryEdges()
        return
    kafka: KafkaUnderTest = request.getfixturevalue("kafka")
    with contextlib.closing(RealEdges(kafka.bootstrap)) as found:
        yield found
