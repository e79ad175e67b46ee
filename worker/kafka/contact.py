"""The first words with a broker: whether one answers and, where none does, why not.

librdkafka goes on trying whatever happens, which is right for a worker that runs and of no use to somebody whose
password is wrong. What it says of its attempts meanwhile is kept, and given as the reason.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]  # public, but not re-exported by name

from worker.errors import ConfigurationError, TransportError, WorkerError
from worker.kafka.errors import client, error_of

# A broker that is there answers within milliseconds; whoever mistyped its address should not wait for long.
FIRST_ANSWER_SECONDS = 10.0
_LOOK_SECONDS, _SHORT_SECONDS = 0.05, 0.5
# Trying again would end the same way.
_REFUSED = {
    KafkaError._AUTHENTICATION: "sasl.mechanism, sasl.username and the secrets",  # noqa: SLF001 - a public code
    KafkaError._SSL: "security.protocol, ssl.ca.location and the certificates",  # noqa: SLF001
}
_MOCK = "mockCluster"
Result = TypeVar("Result")


def is_mock(cluster: ClusterMetadata) -> bool:
    """Whether it is librdkafka's own, which never answers to some questions."""
    return str(cluster.cluster_id).startswith(_MOCK)


class Contact:
    """An administration client. Raises ConfigurationError for an option that it does not take."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._bootstrap = config["bootstrap.servers"]
        self._said: list[KafkaError] = []
        self.admin = client(AdminClient, {**config, "error_cb": self._said.append})

    def cluster(self) -> ClusterMetadata:
        """Its topics, as far as we may see them.

        Raises ConfigurationError where it refuses our credentials or we its certificate, else TransportError where none
        answers within ``FIRST_ANSWER_SECONDS``.
        """
        deadline = time.monotonic() + FIRST_ANSWER_SECONDS
        while True:
            try:
                return self.admin.list_topics(timeout=_SHORT_SECONDS)
            except KafkaException as exception:
                self.admin.poll(0)
                if any(error.code() in _REFUSED for error in self._said) or time.monotonic() > deadline:
                    raise self._nobody(error_of(exception).str()) from None

    def result(self, future: Future[Result]) -> Result:
        """What the broker answered to a question. Raises KafkaException for an error of its own; otherwise as ``cluster``."""
        deadline = time.monotonic() + FIRST_ANSWER_SECONDS
        while not future.done():
            self.admin.poll(_LOOK_SECONDS)
            if any(error.code() in _REFUSED for error in self._said) or time.monotonic() > deadline:
                raise self._nobody("")
        try:
            return future.result()
        except KafkaException as exception:
            error = error_of(exception)
            # librdkafka's own: the broker was never asked, or never answered. Unless it could not be asked that.
            if error.code() < 0 and error.code() != KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - a public code
                self.admin.poll(0)
                raise self._nobody(error.str()) from None
            raise

    def _nobody(self, instead: str) -> WorkerError:
        refused = next((error for error in self._said if error.code() in _REFUSED), None)
        if refused is not None:
            return ConfigurationError(
                f"the broker at {self._bootstrap} and we don't trust one another: {refused.str()}",
                hint=f"check under [kafka.options]: {_REFUSED[refused.code()]}",
            )
        telling = [error.str() for error in self._said if error.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001
        reason = next(iter(telling), instead or "no connection")
        return TransportError(
            f"no broker answers at {self._bootstrap} ({reason})",
            hint="check kafka.bootstrap, and security.protocol under [kafka.options] where the broker wants one; "
            "`prediction-worker broker` starts one for development",
        )
