"""A record that is too large for its output topic is never dropped silently."""

from __future__ import annotations

import numpy as np
import pytest
from confluent_kafka import TopicPartition as Position

from tests.conftest import MakeTopic
from tests.integration.sources import poll_batch, settings_of
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from tests.support.waiting import wait_until
from worker.clock import SystemClock
from worker.errors import ConfigurationError
from worker.kafka.at_least_once import AtLeastOnceSink
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.source import KafkaSource
from worker.kafka.transactional import TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.records import Committable, OutgoingBatch, Record, Slices


def test_too_large_for_its_topic(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """The worker stops with the topic's limit as the reason; nothing of the transaction is visible."""
    topic = make_topic(config={"max.message.bytes": "20000"})
    settings = settings_of(kafka.bootstrap, topic)
    source_topic = make_topic()
    produce_all(kafka.bootstrap, source_topic, [Record("", 0, 0, 0, None, b"in")])
    source = KafkaSource(consumer_config(settings), source_topic, "earliest")
    batch, fetches = poll_batch(source)
    clock = SystemClock()
    sink = TransactionalSink(producer_config(settings, topic), Watchdog(30, clock), clock, 30)
    values = Slices.of([b"small", bytes(100_000)])
    outgoing = OutgoingBatch(topic, np.zeros(2, np.int64), values, values)
    with pytest.raises(ConfigurationError, match="too large for its topic") as caught:
        sink.deliver([outgoing], Committable(batch.next_offsets(), {}, fetches[-1].generation))
    source.close()
    assert "max.message.bytes" in str(caught.value.hint)
    assert read_all(kafka.bootstrap, topic) == []


def test_too_large_at_least_once(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """Of the last batch it is noticed while nothing more comes; its offset is not committed."""
    topic, source_topic = make_topic(config={"max.message.bytes": "20000"}), make_topic()
    settings = settings_of(kafka.bootstrap, topic)
    produce_all(kafka.bootstrap, source_topic, [Record("", 0, 0, 0, None, b"in")])
    source = KafkaSource(consumer_config(settings), source_topic, "earliest", fenced=False)
    batch, _ = poll_batch(source)
    clock = SystemClock()
    sink = AtLeastOnceSink(producer_config(settings, None), source, Watchdog(30, clock), clock, 30)
    values = Slices.of([bytes(100_000)])
    sink.deliver([OutgoingBatch(topic, np.zeros(1, np.int64), values, values)], Committable(batch.next_offsets()))
    refused: list[ConfigurationError] = []

    def is_noticed() -> bool:
        try:
            sink.settle()
        except ConfigurationError as error:
            refused.append(error)
        return bool(refused)

    wait_until(is_noticed, 30)
    sink.close()
    (committed,) = source.consumer.committed([Position(source_topic, 0)], 10)
    source.close()
    assert "too large for its topic" in str(refused[0])
    assert committed.offset == 0, "where the group began"
