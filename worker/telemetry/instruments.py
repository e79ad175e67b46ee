"""Metrics of the catalogue as prometheus_client's objects; the only module that builds any."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from worker.telemetry.catalogue import Metric, MetricKind

SHARED_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the name is prometheus_client's


class WithdrawableGauge(Gauge):
    """A gauge whose series can end: a partition that is no longer ours must not go on reporting its last lag."""

    def withdraw(self, *labels: str) -> None:
        """End the series with these label values."""
        if SHARED_DIRECTORY_VARIABLE in os.environ:
            self.labels(*labels).forget()
        else:
            self.remove(*labels)

    def forget(self) -> None:
        """Leave this one series out of the sum: a shared file can't shrink, so the value loses its time stamp.

        Merging by "most recent" skips a value without one.
        """
        self._value.set(0.0)


class Instruments:
    """The metrics of a catalogue, registered; the accessors return what a caller keeps and updates.

    An accessor with label values returns that one series, so that the hot path does no lookup by label.
    """

    def __init__(self, registry: CollectorRegistry, metrics: Sequence[Metric]) -> None:
        # Else every counter and histogram has a start time beside it, though only where one process is served.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._counters = {m.name: _counter(m, registry) for m in _of_kind(metrics, MetricKind.COUNTER)}
        self._gauges = {m.name: _gauge(m, registry) for m in _of_kind(metrics, MetricKind.GAUGE)}
        self._histograms = {m.name: _histogram(m, registry) for m in _of_kind(metrics, MetricKind.HISTOGRAM)}

    def counter(self, metric: Metric, *labels: str) -> Counter:
        counter = self._counters[metric.name]
        return counter.labels(*labels) if labels else counter

    def gauge(self, metric: Metric, *labels: str) -> WithdrawableGauge:
        gauge = self._gauges[metric.name]
        return gauge.labels(*labels) if labels else gauge

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        histogram = self._histograms[metric.name]
        return histogram.labels(*labels) if labels else histogram


def process_registry() -> CollectorRegistry:
    """A registry of its own (no global state), with this process's CPU, memory and file descriptors in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _of_kind(metrics: Iterable[Metric], kind: MetricKind) -> list[Metric]:
    return [metric for metric in metrics if metric.kind is kind]


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.documentation, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> WithdrawableGauge:
    return WithdrawableGauge(
        metric.name, metric.documentation, metric.labels, registry=registry, multiprocess_mode=metric.merging
    )


def _histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric.name, metric.documentation, metric.labels, registry=registry, buckets=metric.buckets)
