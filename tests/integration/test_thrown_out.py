"""A member that was thrown out of its group while it did not poll: nothing is read, and nothing committed, on old terms."""

from __future__ import annotations

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from tests.support.waiting import wait_until
from worker.clock import SystemClock
from worker.errors import DeliveryAborted
from worker.kafka.at_least_once import AtLeastOnceSink
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.source import KafkaSource
from worker.kafka.watchdog import Watchdog
from worker.ports import Fetch, FetchLimit
from worker.records import Committable, Record, RecordBatch, TopicPartition
from worker.settings import Settings

SHORTEST = {"max.poll.interval.ms": 6_000}
LIMIT = FetchLimit(3, 1_000_000, 0.5)


@pytest.mark.parametrize("fenced", [True, False])
def test_thrown_out(kafka: KafkaUnderTest, make_topic: MakeTopic, *, fenced: bool) -> None:
    """Nothing is committed on old terms; the member gives its partitions up, joins again, and reads from the committed offset."""
    topic = make_topic()
    produce_all(kafka.bootstrap, topic, [Record("", 0, 0, 0, None, bytes([i])) for i in range(10)])
    settings = _settings(kafka.bootstrap, topic)
    source = KafkaSource({**consumer_config(settings), **SHORTEST}, topic, "earliest", fenced=fenced)
    clock = SystemClock()
    sink = AtLeastOnceSink(producer_config(settings, None), source, Watchdog(15, clock), clock, 15)
    first, _ = _read(source)
    _await_nobody(kafka.bootstrap, topic)
    with pytest.raises(DeliveryAborted, match="without us"):
        sink.deliver((), Committable(first.next_offsets()))
    again, given_up = _read(source)
    source.close()
    sink.close()
    assert given_up == {TopicPartition(topic, 0)}
    assert first.offset.tolist() == again.offset.tolist() == [0, 1, 2]


def _read(source: KafkaSource) -> tuple[RecordBatch, set[TopicPartition]]:
    """The next batch, and what was given up before it."""
    fetches: list[Fetch] = []

    def is_read() -> bool:
        fetches.append(source.poll(LIMIT))
        return fetches[-1].batch is not None

    wait_until(is_read, 30)
    batch = fetches[-1].batch
    assert batch is not None
    return batch, {tp for fetch in fetches for tp in fetch.unassigned}


def _await_nobody(bootstrap: str, group: str) -> None:
    """Until the broker knows the group as empty."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wait_until(lambda: admin.describe_consumer_groups([group])[group].result().state == ConsumerGroupState.EMPTY, 30)


def _settings(bootstrap: str, topic: str) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap": bootstrap, "group": topic, "options": {"log_level": 0}},
            "topics": {"input": topic},
            "event": {"schema": "unused"},
            "model": {"bundle": "unused"},
        }
    )
