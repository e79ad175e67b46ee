"""A large batch is committed behind the next one: nothing is said too early, and two are given back where one failed."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as Position

from tests.conftest import MakeTopic
from tests.integration.sources import poll_batch, settings_of
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from tests.support.waiting import wait_until
from worker.clock import SystemClock
from worker.errors import DeliveryAborted, Fenced
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.source import KafkaSource
from worker.kafka.transactional import BEHIND_RECORDS, TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.records import Committable, OutgoingBatch, Record, RecordBatch, Slices

LARGE, SMALL = BEHIND_RECORDS, 3


class HeldProducer:
    """A producer whose commits wait until they are let go, and fail where that was asked for."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self.let_go = threading.Event()
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self) -> None:
        assert self.let_go.wait(30)
        if self.failures:
            self.failures -= 1
            self._producer.flush()
            raise KafkaException(KafkaError(KafkaError.TRANSACTION_ABORTABLE, "forced", txn_requires_abort=True))
        self._producer.commit_transaction()


@dataclass
class Bed:
    """A member of the group, and its sink; event n has offset n, and its outputs say so."""

    bootstrap: str
    topic: str
    out: str
    source: KafkaSource
    sink: TransactionalSink
    producer: HeldProducer = field(init=False)

    def __post_init__(self) -> None:
        self.producer = HeldProducer(self.sink._producer)
        sink: Any = self.sink
        sink._producer = self.producer

    @property
    def is_under_way(self) -> bool:
        return self.sink._under_way is not None

    def deliver(self, outputs: int) -> RecordBatch:
        """So many of the next event, which is returned."""
        batch, fetches = poll_batch(self.source)
        values = Slices.of([b"%d" % int(batch.offset[0])] * outputs)
        outgoing = OutgoingBatch(self.out, np.zeros(outputs, np.int64), Slices.of([None] * outputs), values)
        self.sink.deliver([outgoing], Committable(batch.next_offsets(), {}, fetches[-1].generation))
        return batch

    def written(self) -> Counter[int]:
        """Outputs that a reader of committed ones finds, by their event."""
        return Counter(int(record.value or b"") for record in read_all(self.bootstrap, self.out))

    def committed(self) -> int:
        (position,) = self.source.consumer.committed([Position(self.topic, 0)], timeout=10)
        return max(0, position.offset)

    def await_settled(self) -> None:
        """What is under way ends, as it does while there is nothing to deliver."""

        def is_settled() -> bool:
            self.sink.settle()
            return not self.is_under_way

        wait_until(is_settled, 30)


@pytest.fixture
def bed(kafka: KafkaUnderTest, make_topic: MakeTopic) -> Iterator[Bed]:
    topic, out = make_topic(), make_topic(name_prefix="out")
    produce_all(kafka.bootstrap, topic, [Record("", 0, 0, 0, None, b"event") for _ in range(10)])
    settings = settings_of(kafka.bootstrap, topic)
    clock = SystemClock()
    sink = TransactionalSink(producer_config(settings, topic), Watchdog(60, clock), clock, 30, behind=True)
    source = KafkaSource(consumer_config(settings), topic, "earliest")
    bed = Bed(kafka.bootstrap, topic, out, source, sink)
    yield bed
    bed.producer.let_go.set()
    sink.close()
    source.close()


def test_the_next_is_read_meanwhile(bed: Bed) -> None:
    """A large delivery returns before its commit, which is seen to the end while nothing comes."""
    bed.deliver(LARGE)
    bed.sink.settle()
    assert bed.is_under_way
    bed.producer.let_go.set()
    bed.await_settled()
    assert bed.written() == {0: LARGE}
    assert bed.committed() == 1


def test_the_next_delivery_waits(bed: Bed) -> None:
    """Transactions follow one another, and a small one is committed when its delivery returns."""
    bed.deliver(LARGE)
    threading.Timer(0.2, bed.producer.let_go.set).start()
    bed.deliver(SMALL)
    assert bed.written() == {0: LARGE, 1: SMALL}
    assert bed.committed() == 2


def test_the_end_waits(bed: Bed) -> None:
    """Who closes the sink has committed."""
    bed.deliver(LARGE)
    bed.producer.let_go.set()
    bed.sink.close()
    assert bed.written() == {0: LARGE}


@pytest.mark.parametrize("idle", [True, False])
def test_both_are_given_back(bed: Bed, *, idle: bool) -> None:
    """Nothing of a commit that failed is visible; both batches come again, and the first is not left behind this time."""
    bed.producer.failures = 1
    bed.producer.let_go.set()
    first = bed.deliver(LARGE)
    notice = bed.await_settled if idle else functools.partial(bed.deliver, SMALL)
    with pytest.raises(DeliveryAborted, match="forced") as told:
        notice()
    assert told.value.earlier
    assert (bed.written(), bed.committed()) == ({}, 0)
    bed.source.rewind(first)
    bed.deliver(LARGE)
    assert (bed.written(), bed.committed()) == ({0: LARGE}, 1)
    bed.producer.let_go.clear()
    bed.deliver(LARGE)
    assert bed.is_under_way


def test_fenced_meanwhile(bed: Bed, kafka: KafkaUnderTest) -> None:
    """Another process with our transactional id ends what is under way; the next delivery says so."""
    bed.deliver(LARGE)
    successor = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": bed.topic, "log_level": 0})
    successor.init_transactions(30)
    bed.producer.let_go.set()
    with pytest.raises(Fenced):
        bed.deliver(SMALL)
    assert bed.written() == {}
    assert bed.committed() == 0
