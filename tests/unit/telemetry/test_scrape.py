"""Metrics read back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.telemetry.test_metrics import REPORT, HandMoved
from worker.clock import SystemClock
from worker.errors import ConfigurationError
from worker.telemetry.health import ProcessHealth
from worker.telemetry.http import TelemetryServer
from worker.telemetry.metrics import Build, MetricsObserver
from worker.telemetry.scrape import quantile, scrape


@contextlib.contextmanager
def served(registry: CollectorRegistry) -> Iterator[str]:
    """By a server of its own, which renders it anew."""
    with TelemetryServer(registry, ProcessHealth(SystemClock()), host="127.0.0.1", port=0) as server:
        yield f"http://127.0.0.1:{server.port}/metrics"


def test_what_a_worker_serves() -> None:
    """Records, busy time and latencies are those that the observer was told; several addresses are summed."""
    registry, clock = CollectorRegistry(), HandMoved()
    observer = MetricsObserver(registry, Build("1", "m", "1", "exactly-once"), unix_time=clock)
    observer.started()
    observer.delivered(REPORT)
    with served(registry) as url:
        first, both = scrape([url]), scrape([url, url, "http://127.0.0.1:1/metrics"])
    observer.delivered(replace(REPORT, oldest_timestamp_ms=999_980))
    observer.lagging({})
    with served(registry) as url:
        later = scrape([url])
    assert first is not None
    assert both is not None
    assert later is not None
    assert (first.records, first.processes) == (10, 1)
    assert first.input_bytes == 1_234
    assert first.busy_seconds == pytest.approx(0.0195)
    assert both.records == 20
    assert quantile(first, None, 0.5) == 1.0
    assert quantile(later, first, 0.5) == 0.025
    assert quantile(first, first, 0.5) is None


def test_nobody_answers() -> None:
    """Without an answer there is nothing, and what is no URL is refused."""
    assert scrape(["http://127.0.0.1:1/metrics"]) is None
    assert scrape([]) is None
    with pytest.raises(ConfigurationError, match="is no URL"):
        scrape(["worker-0:9464"])
