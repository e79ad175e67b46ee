"""librdkafka's mock cluster: a broker inside the client's own wheel, for where Apache Kafka can't be fetched."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException, Producer

from worker.errors import ConfigurationError, TransportError

TIMEOUT_SECONDS = 10.0


class MockKafka:
    """One mock broker in this process; other processes can connect to it. Same interface as ``ApacheKafka``.

    At-least-once only, and nothing about exactly-once may be shown on it: transactions are accepted, but aborted
    records stay visible and offsets sent to a transaction are not stored. Besides, topics come into being when they
    are first named, always with 4 partitions; 5 MiB are kept of each partition; nothing outlives ``stop()``.
    """

    transactional = False

    def __init__(self) -> None:
        self._cluster: Producer | None = None
        self._bootstrap = ""

    @property
    def bootstrap(self) -> str:
        if self._cluster is None:
            raise ConfigurationError("the broker has not been started yet, so it has no address")
        return self._bootstrap

    @property
    def running(self) -> bool:
        return self._cluster is not None

    def start(self) -> None:
        """Return when it answers; does nothing when it runs. Raises TransportError."""
        if self._cluster is not None:
            return
        cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = cluster.list_topics(timeout=TIMEOUT_SECONDS).brokers
        except KafkaException as error:
            raise TransportError("the mock cluster does not answer") from error
        self._bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
        self._cluster = cluster

    def stop(self) -> None:
        """Ends it, with all that was written to it; safe to call twice."""
        self._cluster = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
