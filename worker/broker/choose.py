"""The best broker that can be had here."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from worker.broker import jars
from worker.broker.apache import ApacheKafka
from worker.broker.mock import MockKafka
from worker.errors import WorkerError


class Broker(Protocol):
    """What both kinds have in common; a context manager that starts it and stops it."""

    @property
    def transactional(self) -> bool:
        """Whether exactly-once can be shown on it."""
        ...

    @property
    def bootstrap(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def best_broker(announce: jars.Announce) -> Broker:
    """A real Apache Kafka, or the mock cluster where that can't be fetched, with one line to say so. Not started yet.

    Only what can't be had is made up for: an Apache Kafka that is there and does not start is an error.
    """
    try:
        jars.java()
        jars.class_path(announce)
    except WorkerError as error:
        way_out = f" ({error.hint})" if error.hint else ""
        announce(f"At-least-once on a mock broker, because {error.message}{way_out}")
        return MockKafka()
    return ApacheKafka(announce=announce)
