"""The first words with a broker, on librdkafka's own in this process, which knows no administration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from worker.broker.mock import MockKafka
from worker.kafka.contact import Contact, is_mock
from worker.kafka.rights import READ, WRITE, Right, check_rights
from worker.kafka.topics import partition_counts


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    with MockKafka() as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        producer.produce("there", b"x")
        producer.flush(10)
        yield broker


def test_a_broker_that_can_not_be_asked_for_rights(mock: MockKafka) -> None:
    """It is recognised, topics are counted, and nobody waits for answers that never come."""
    config = {"bootstrap.servers": mock.bootstrap, "log_level": 0}
    assert is_mock(Contact(config).cluster())
    assert partition_counts(config, ["there", "nowhere"]) == {"there": 4}
    check_rights(config, [Right(READ, "group", "g"), Right(WRITE, "topic", "there")])
