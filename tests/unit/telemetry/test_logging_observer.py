"""The observer that writes log lines, on a hand-moved clock."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from tests.unit.telemetry.test_metrics import REPORT
from worker.errors import DeliveryAborted
from worker.telemetry.logging_observer import LoggingObserver


@dataclass
class HandMoved:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandMoved:
    return HandMoved()


@pytest.fixture
def observer(clock: HandMoved, caplog: pytest.LogCaptureFixture) -> LoggingObserver:
    caplog.set_level(logging.INFO, "worker")
    return LoggingObserver(clock, interval_seconds=10)


def figures(record: logging.LogRecord) -> dict[str, object]:
    names = ("records_per_second", "lag_records", "dead_letters", "batch_records", "records_total")
    return {name: vars(record)[name] for name in names}


def test_one_line_an_interval(observer: LoggingObserver, clock: HandMoved, caplog: pytest.LogCaptureFixture) -> None:
    """Rate, lag, dead letters and batch size of the interval come in one line, and the next begins at nothing."""
    for _ in range(20):
        observer.delivered(REPORT)
        observer.progressed()
    assert not caplog.records
    clock.now = 10.0
    observer.progressed()
    observer.delivered(REPORT)
    clock.now = 20.0
    observer.progressed()
    first, second = caplog.records
    assert figures(first) == {
        "records_per_second": 20,
        "lag_records": 11,
        "dead_letters": 40,
        "batch_records": 10,
        "records_total": 200,
    }
    assert figures(second) == {
        "records_per_second": 1,
        "lag_records": 11,
        "dead_letters": 2,
        "batch_records": 10,
        "records_total": 210,
    }


def test_nothing_happened_nothing_is_said(
    observer: LoggingObserver, clock: HandMoved, caplog: pytest.LogCaptureFixture
) -> None:
    """An idle worker writes no lines, and its idle time does not dilute the next rate."""
    for clock.now in (10.0, 20.0, 30.0):
        observer.progressed()
    observer.delivered(REPORT)
    clock.now = 40.0
    observer.progressed()
    (line,) = caplog.records
    assert figures(line)["records_per_second"] == 1


def test_turns_of_events(observer: LoggingObserver, caplog: pytest.LogCaptureFixture) -> None:
    """Start, assignment, an aborted batch and the stop each have a line; what was not summed up yet comes before the last."""
    observer.started()
    observer.assignment(3)
    observer.aborted(DeliveryAborted("coordinator moved"))
    observer.delivered(REPORT)
    observer.stopped()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "ready: model verified, consumer subscribed"),
        ("INFO", "assigned 3 partitions"),
        ("WARNING", "batch aborted, reading it again: coordinator moved"),
        ("INFO", "delivered"),
        ("INFO", "stopped"),
    ]
