"""What is committed can't be read while a member keeps the group waiting: nothing fails for it, and nothing is passed over."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer

from tests.conftest import MakeTopic
from tests.integration.sources import settings_of
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from tests.support.waiting import wait_until
from worker.kafka.config import consumer_config
from worker.kafka.offsets import CommittedOffsets
from worker.kafka.source import KafkaSource
from worker.ports import FetchLimit
from worker.records import Record, RecordBatch, TopicPartition


def test_of_a_group_that_waits(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """Behind our JoinGroup the question waits, too; as soon as the slow member has joined it is answered."""
    topic = make_topic(partitions=6)
    config = {
        **consumer_config(settings_of(kafka.bootstrap, topic)),
        "partition.assignment.strategy": "range",  # whose members join again only from within a poll
        "auto.offset.reset": "earliest",
    }
    revoked: list[Consumer] = []
    slow, ours, late = (Consumer(config) for _ in range(3))
    for member in (slow, ours):  # with a callback, which waits for a poll
        member.subscribe([topic], on_revoke=lambda whose, _: revoked.append(whose))

    def polled(*members: Consumer) -> list[int]:
        for member in members:
            member.poll(0.05)
        return [len(member.assignment()) for member in members]

    wait_until(lambda: polled(slow, ours) == [3, 3], 30)
    offsets, wanted = CommittedOffsets(ours, "earliest"), [TopicPartition(topic, 0)]
    assert offsets.metadata(wanted) == {wanted[0]: ""}
    late.subscribe([topic])
    wait_until(lambda: bool(polled(late, ours)) and ours in revoked, 30)
    wait_until(lambda: polled(late, ours) == [0, 0], 10)
    assert offsets.metadata(wanted) is None
    wait_until(lambda: polled(slow, ours, late) == [2, 2, 2], 30)
    assert offsets.metadata(wanted) == {wanted[0]: ""}
    for member in (slow, ours, late):
        member.close()


class Unanswered(KafkaSource):
    """Can't read what is committed, the first time."""

    asked = 0

    def _metadata(self, batch: RecordBatch) -> dict[TopicPartition, str] | None:
        self.asked += 1
        return None if self.asked == 1 else super()._metadata(batch)


def test_the_batch_is_read_again(
    kafka: KafkaUnderTest, make_topic: MakeTopic, caplog: pytest.LogCaptureFixture
) -> None:
    """No batch comes without what is committed beside its partitions; the next one begins where it began."""
    topic = make_topic()
    produce_all(kafka.bootstrap, topic, [Record("", 0, 0, 0, None, bytes([i])) for i in range(10)])
    source = Unanswered(consumer_config(settings_of(kafka.bootstrap, topic)), topic, "earliest")
    fetches = []

    def ten_read() -> bool:
        fetch = source.poll(FetchLimit(10, 1_000_000, 0.5))
        if fetch.batch is not None:
            fetches.append(fetch)
        return sum(len(one.batch or ()) for one in fetches) >= 10

    wait_until(ten_read, 30)
    source.close()
    assert [offset for one in fetches for offset in (one.batch.offset.tolist() if one.batch else [])] == list(range(10))
    assert fetches[0].assigned == {TopicPartition(topic, 0): ""}
    assert "the batch is read again" in caplog.text
