"""A partition that is lost and comes back within one poll."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TopicPartition as Position

from tests.conftest import MakeTopic
from tests.integration.sources import settings_of
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from tests.support.waiting import wait_until
from worker.kafka.config import consumer_config
from worker.kafka.source import KafkaSource
from worker.ports import FetchLimit
from worker.records import Record, RecordBatch, TopicPartition


class Shaken(KafkaSource):
    """Hears in its next poll that it lost its partition and has it again, as after a pause longer than the session."""

    shaken = False

    def _gather(self, most: int) -> RecordBatch | None:
        if self.shaken:
            self.shaken = False
            positions = [Position(tp.topic, tp.partition) for tp in self.partitions()]
            self._on_revoke(self.consumer, positions)
            self.consumer.incremental_unassign(positions)
            self._on_assign(self.consumer, positions)
            self.consumer.incremental_assign(positions)
        return super()._gather(most)


def test_regained_within_a_poll(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """What had been fetched before is dropped, and reading goes on from the committed offset: nothing is passed over."""
    topic = make_topic()
    produce_all(kafka.bootstrap, topic, [Record("", 0, 0, 0, None, bytes([i])) for i in range(10)])
    source = Shaken(consumer_config(settings_of(kafka.bootstrap, topic)), topic, "earliest")
    offsets: list[Any] = []

    def read_three() -> bool:
        fetch = source.poll(FetchLimit(3, 1_000_000, 0.5))
        if fetch.batch is not None:
            offsets.append(fetch.batch.offset.tolist())
            source.consumer.commit(offsets=[Position(topic, 0, 2)], asynchronous=False)
        return fetch.batch is not None

    wait_until(read_three, 30)
    source.shaken = True
    fetch = source.poll(FetchLimit(3, 1_000_000, 5))
    assert fetch.unassigned == {TopicPartition(topic, 0)}
    if fetch.batch is None:
        wait_until(read_three, 30)
    else:
        offsets.append(fetch.batch.offset.tolist())
    source.close()
    assert offsets == [[0, 1, 2], [2, 3, 4]]
