"""The observer that writes log lines: one every few seconds while records flow, one for each turn of events."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from worker.ports import BatchReport, Clock
from worker.records import TopicPartition

INTERVAL_SECONDS = 10.0

_log = logging.getLogger("worker")


class LoggingObserver:
    """Sums up what was delivered since its last line; says nothing while nothing happens.

    The figures travel as fields of the log record (``extra``), never a record's content.
    """

    def __init__(self, clock: Clock, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._total = 0
        self._lag = 0
        self._begin(clock.monotonic())

    def started(self) -> None:
        _log.info("ready: model verified, consumer subscribed")
        self._begin(self._clock.monotonic())

    def progressed(self) -> None:
        now = self._clock.monotonic()
        if now - self._since < self._interval_seconds:
            return
        if self._batches:
            self._sum_up(now)
        self._begin(now)

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        self._lag = sum(lag.values())

    def delivered(self, report: BatchReport) -> None:
        self._batches += 1
        self._records += report.records
        self._total += report.records
        self._dead_letters += len(report.refusals)
        self._lag = sum(report.lag.values())

    def aborted(self, error: Exception) -> None:
        _log.warning("batch aborted, reading it again: %s", error)

    def assignment(self, partitions: int) -> None:
        _log.info("assigned %d partitions", partitions, extra={"partitions": partitions})

    def stopped(self) -> None:
        if self._batches:
            self._sum_up(self._clock.monotonic())
        _log.info("stopped", extra={"records_total": self._total})

    def _begin(self, now: float) -> None:
        self._since = now
        self._batches = self._records = self._dead_letters = 0

    def _sum_up(self, now: float) -> None:
        seconds = max(now - self._since, 1e-9)
        _log.info(
            "delivered",
            extra={
                "records_per_second": round(self._records / seconds),
                "lag_records": self._lag,
                "dead_letters": self._dead_letters,
                "batch_records": round(self._records / self._batches),
                "records_total": self._total,
            },
        )
