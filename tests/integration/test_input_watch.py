"""What the monitor takes for an idle partition, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Position

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from worker.broker.topics import create_topics
from worker.kafka.input_watch import KafkaInputWatch
from worker.ports import Look
from worker.records import Record
from worker.settings import Event, Kafka, Model, Settings, Topics


class Field:
    """An input of three partitions, its group, and the watch on both."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.topic = bootstrap, topic
        nowhere = Path("nowhere")
        settings = Settings(
            kafka=Kafka(bootstrap=bootstrap, group=topic),
            topics=Topics(input=topic),
            event=Event.model_validate({"schema": nowhere}),
            model=Model(bundle=nowhere),
        )
        create_topics(bootstrap, {settings.topics.drift_sketches: 1})
        self.watch = KafkaInputWatch(settings)
        self._group = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "log_level": 0})

    def write(self, partition: int, count: int) -> None:
        produce_all(self.bootstrap, self.topic, [Record("", partition, 0, 0, None, b"event")] * count)

    def producer(self) -> Producer:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": self.topic, "log_level": 0})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(self.topic, b"event", partition=0)
        producer.flush(30)
        return producer

    def commit(self, partition: int, offset: int) -> None:
        self._group.commit(offsets=[Position(self.topic, partition, offset)], asynchronous=False)

    def idle(self) -> frozenset[int]:
        """At the second look: the first does not know yet whether the group stands still."""
        self.look()
        return self.look().idle

    def look(self) -> Look:
        """A new group's coordinator may not be there yet."""
        deadline = time.monotonic() + 30
        while (look := self.watch.look()) is None:
            assert time.monotonic() < deadline
        return look

    def close(self) -> None:
        self.watch.close()
        self._group.close()


@pytest.fixture
def field(kafka: KafkaUnderTest, make_topic: MakeTopic) -> Iterator[Field]:
    field = Field(kafka.bootstrap, make_topic(partitions=3))
    yield field
    field.close()


def test_all_committed_is_idle(field: Field) -> None:
    """A partition is idle when the group's offset is its end, or when there has never been anything in it."""
    field.write(0, 3)
    field.write(1, 2)
    field.commit(0, 3)
    field.commit(1, 1)
    look = field.look()
    assert look.idle == {0, 2}
    assert look.partitions == 3
    field.commit(1, 2)
    assert field.look().idle == {0, 1, 2}
    field.write(1, 1)
    assert field.look().idle == {0, 2}


def test_a_worker_that_stalls_is_not_idle(field: Field) -> None:
    """However long the group stands still, a partition with a record for it is not idle."""
    field.write(0, 3)
    field.commit(0, 2)
    assert [0 in field.idle() for _ in range(3)] == [False] * 3
    field.commit(0, 3)
    assert 0 in field.idle()


@pytest.mark.parametrize("end", [Producer.commit_transaction, Producer.abort_transaction])
def test_markers_at_the_end(field: Field, end: Callable[[Producer], None]) -> None:
    """Behind the last record that can be read, markers and aborted records keep no partition from being idle."""
    producer = field.producer()
    producer.commit_transaction()
    field.commit(0, 1)
    assert 0 in field.idle()
    producer.begin_transaction()
    producer.produce(field.topic, b"event", partition=0)
    producer.flush(30)
    assert 0 not in field.idle(), "what is not decided may become a record"
    end(producer)
    assert (0 in field.idle()) == (end is Producer.abort_transaction)
    field.commit(0, 3)
    assert 0 in field.idle()


def test_never_begun(field: Field) -> None:
    """Where the group has no offset, a record keeps the partition from being idle."""
    field.write(0, 1)
    assert field.idle() == {1, 2}
