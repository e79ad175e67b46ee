"""A broker of a test's own, for tests that stop it, kill it or pause it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.brokers import no_kafka
from worker.broker import jars
from worker.broker.apache import ApacheKafka
from worker.errors import WorkerError


@pytest.fixture
def apache_kafka() -> Iterator[ApacheKafka]:
    """Not started yet; whatever the test leaves of it is stopped."""
    reason = None
    try:
        jars.java()
        jars.class_path()
    except WorkerError as error:
        reason = error.message
    if reason is not None:
        no_kafka(reason)
    broker = ApacheKafka()
    yield broker
    broker.stop()
