"""The native producer with tokens that librdkafka makes itself: renewed though nobody polls it."""

from __future__ import annotations

import logging
import uuid

import numpy as np
import pytest

from tests.support.kafka import read_all
from tests.support.secured import AclOperation, Grant, ResourceType, SecuredKafka
from tests.support.waiting import wait_until
from worker.broker.topics import create_topics
from worker.kafka.native.library import Library
from worker.kafka.native.producer import NativeProducer
from worker.records import OutgoingBatch, Slices

LIFETIME_SECONDS = 2


@pytest.mark.long
def test_renewed_while_idle(secured: SecuredKafka, caplog: pytest.LogCaptureFixture) -> None:
    """An idle producer's token is renewed in time, so that it still writes after several of its lifetimes."""
    topic = f"native-{uuid.uuid4().hex[:8]}"
    create_topics(secured.bootstrap, {topic: 1})
    secured.grant("native", [Grant(AclOperation.WRITE, ResourceType.TOPIC, topic)])
    config = {
        "bootstrap.servers": secured.unsigned,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": True,
        "sasl.oauthbearer.config": f"principal=native lifeSeconds={LIFETIME_SECONDS}",
        "debug": "security",
        "logger": logging.getLogger("native"),
    }
    caplog.set_level(logging.DEBUG, "native")
    producer = NativeProducer(Library(), config)
    try:
        put(producer, topic)
        assert producer.flush(20) is None
        wait_until(lambda: caplog.text.count("Waking up waiting broker threads") >= 4, 5 * LIFETIME_SECONDS)
        put(producer, topic)
        assert producer.flush(20) is None
    finally:
        producer.close()
    assert len(read_all(secured.bootstrap, topic)) == 2


def put(producer: NativeProducer, topic: str) -> None:
    one = Slices.of([b"x"])
    producer.put(OutgoingBatch(topic, np.zeros(1, np.int64), one, one))
