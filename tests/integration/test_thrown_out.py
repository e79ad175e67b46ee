"""A member that was thrown out of its group while it did not poll: nothing is read, and nothing committed, on old terms."""

from __future__ import annotations

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from tests.conftest import MakeTopic
from tests.integration.sources import poll_batch, settings_of
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from tests.support.waiting import wait_until
from worker.clock import SystemClock
from worker.errors import DeliveryAborted
from worker.kafka.at_least_once import AtLeastOnceSink
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.source import KafkaSource
from worker.kafka.watchdog import Watchdog
from worker.records import Committable, Record, TopicPartition

SHORTEST = {"max.poll.interval.ms": 6_000}


@pytest.mark.parametrize("fenced", [True, False])
def test_thrown_out(kafka: KafkaUnderTest, make_topic: MakeTopic, *, fenced: bool) -> None:
    """Nothing is committed on old terms; the member gives its partitions up, joins again, and reads from the committed offset."""
    topic = make_topic()
    produce_all(kafka.bootstrap, topic, [Record("", 0, 0, 0, None, bytes([i])) for i in range(10)])
    settings = settings_of(kafka.bootstrap, topic)
    source = KafkaSource({**consumer_config(settings), **SHORTEST}, topic, "earliest", fenced=fenced)
    clock = SystemClock()
    sink = AtLeastOnceSink(producer_config(settings, None), source, Watchdog(15, clock), clock, 15)
    first, _ = poll_batch(source, 3)
    _await_nobody(kafka.bootstrap, topic)
    with pytest.raises(DeliveryAborted, match="without us"):
        sink.deliver((), Committable(first.next_offsets()))
    again, fetches = poll_batch(source, 3)
    source.close()
    sink.close()
    assert {tp for fetch in fetches for tp in fetch.unassigned} == {TopicPartition(topic, 0)}
    assert first.offset.tolist() == again.offset.tolist() == [0, 1, 2]


def _await_nobody(bootstrap: str, group: str) -> None:
    """Until the broker knows the group as empty."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wait_until(lambda: admin.describe_consumer_groups([group])[group].result().state == ConsumerGroupState.EMPTY, 30)
