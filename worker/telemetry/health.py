"""Liveness and readiness of one process.

Alive means that the loop goes round; a probe that only found the HTTP thread alive would keep a hung worker for ever.
Ready means that the model is verified and the consumer subscribed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from worker.ports import BatchReport, Clock
from worker.records import TopicPartition

PROGRESS_BOUND_SECONDS = 120.0
START_BOUND_SECONDS = 300.0


class Probe(Protocol):
    """What the HTTP server asks, from threads of its own; each answer is one line why not, or None."""

    def unhealthy(self) -> str | None: ...

    def unready(self) -> str | None: ...


class ProcessHealth:
    """An observer of one process, and its probe.

    Up to ``start_bound_seconds`` may pass until the loop starts, then ``bound_seconds`` between its rounds; the bounds
    must exceed the longest legitimate call (a broker outage, a slow model).
    Attributes are written by the loop's thread and read by the probe's; each is one reference, so no lock is needed.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        bound_seconds: float = PROGRESS_BOUND_SECONDS,
        start_bound_seconds: float = START_BOUND_SECONDS,
    ) -> None:
        self._clock = clock
        self._bound_seconds = bound_seconds
        self._limit_seconds = start_bound_seconds
        self._progressed_at = clock.monotonic()
        self._not_ready: str | None = "starting"

    def unhealthy(self) -> str | None:
        silent = self._clock.monotonic() - self._progressed_at
        if silent <= self._limit_seconds:
            return None
        return f"the loop has not advanced for {silent:.0f} s (bound: {self._limit_seconds:.0f} s)"

    def unready(self) -> str | None:
        return self._not_ready

    def started(self) -> None:
        self._progressed_at = self._clock.monotonic()
        self._limit_seconds = self._bound_seconds
        self._not_ready = None

    def progressed(self) -> None:
        self._progressed_at = self._clock.monotonic()

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None: ...

    def delivered(self, report: BatchReport) -> None: ...

    def aborted(self, error: Exception) -> None: ...

    def assignment(self, partitions: int) -> None: ...

    def stopping(self) -> None:
        """A stop was asked for: take no more traffic, finish what is open."""
        self._not_ready = "stopping"

    def stopped(self) -> None:
        self.stopping()
