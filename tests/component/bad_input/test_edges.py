"""Families 35 and 36 at the edges, where the client itself can stumble; on the mock cluster of its own library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tests.component.bad_input import foreign
from worker.kafka.batches import batch_of
from worker.kafka.config import producer_config
from worker.kafka.native.library import Library, handle_of
from worker.kafka.native.outbox import Outbox
from worker.records import HeaderColumns, OutgoingBatch, Slices
from worker.settings import Event, Kafka, Model, Settings, Topics

SECONDS = 10
PARTITIONS = 4  # as many as every topic of the mock cluster has


@pytest.fixture
def bootstrap() -> Iterator[str]:
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    yield ",".join(f"{broker.host}:{broker.port}" for broker in cluster.list_topics(timeout=SECONDS).brokers.values())
    cluster.flush(0)  # the cluster lives as long as its producer


def read_one(bootstrap: str, topic: str) -> Message:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    message = consumer.poll(SECONDS)
    consumer.close()
    assert message is not None
    assert message.error() is None
    return message


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff", b"\xed\xa0\x80"], ids=["Latin-1", "byte", "surrogate"])
def test_header_names_that_are_no_text(bootstrap: str, name: bytes) -> None:
    """35: a record with a header name that is no UTF-8 arrives, and nothing is said of the headers that can't be read."""
    foreign.write(bootstrap, "in", b"value", [b"good", name])
    batch = batch_of([read_one(bootstrap, "in")])
    record = batch.record(0)
    assert record.value == b"value"
    assert name.decode("utf-8", "replace") not in dict(record.headers)


@pytest.mark.parametrize("headers", [{}, {0: (("reason", b"malformed"),)}], ids=["prediction", "dead letter"])
def test_large_outputs(bootstrap: str, headers: Any) -> None:
    """36: what could be consumed can be handed on: the producer has no limit of its own, the topics' limits decide."""
    event: dict[str, Any] = {"schema": Path("unused")}
    settings = Settings(
        kafka=Kafka(bootstrap=bootstrap, group="g"),
        topics=Topics(input="in"),
        event=Event(**event),
        model=Model(bundle=Path("unused")),
    )
    values = Slices.of([bytes(3_000_000)])
    producer = Producer({**producer_config(settings, None), "log_level": 0})
    library = Library()
    Outbox(library, handle_of(library, producer)).put(
        OutgoingBatch("out", np.zeros(1, np.int64), values, values, HeaderColumns.of(headers))
    )
    assert producer.flush(SECONDS) == 0
    written = read_one(bootstrap, "out").value()
    assert written is not None
    assert len(written) == 3_000_000
