"""The observer that counts. What it costs a batch is fixed: every series of the hot path is bound beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from worker.ports import BatchReport
from worker.records import REASONS, TopicPartition
from worker.telemetry import catalogue as c
from worker.telemetry.instruments import Instruments, WithdrawableGauge

LAG_INTERVAL_SECONDS = 0.5
COUNT_SECONDS = 0.1
"""How long a report may wait to be counted, while reports go on coming; how old what is shown of the progress may be."""


@dataclass(frozen=True, slots=True)
class Build:
    """What runs, for the labels: the worker's version, the model's name and version, the delivery mode."""

    version: str
    model: str
    model_version: str
    mode: str


class MetricsObserver:
    """Keeps the worker's metrics on a registry.

    ``unix_time`` returns seconds since 1970; what is measured against it are Kafka's timestamps, which are wall time.
    """

    def __init__(self, registry: CollectorRegistry, build: Build, *, unix_time: Callable[[], float]) -> None:
        metrics = Instruments(registry, c.WORKER_METRICS)
        self._unix_time = unix_time
        self._predictions = metrics.counter(c.PREDICTIONS, build.model, build.model_version)
        self._prediction_duration = metrics.histogram(c.PREDICTION_DURATION)
        self._end_to_end = metrics.histogram(c.END_TO_END)
        self._consumed = metrics.counter(c.CONSUMED)
        self._metrics = metrics
        # A series that began with its first dead letters would hide them from `rate` and `increase`.
        for stage, reasons in REASONS.items():
            for reason in reasons:
                metrics.counter(c.DEAD_LETTERS, stage, reason)
        self._tombstones = metrics.counter(c.TOMBSTONES)
        self._delivered = metrics.counter(c.BATCHES, c.BatchOutcome.DELIVERED)
        self._aborted = metrics.counter(c.BATCHES, c.BatchOutcome.ABORTED)
        self._batch_records = metrics.histogram(c.BATCH_RECORDS)
        self._input_bytes = metrics.counter(c.INPUT_BYTES)
        self._stages = tuple(metrics.histogram(c.STAGE_DURATION, stage) for stage in c.TimedStage)
        self._assigned = metrics.gauge(c.ASSIGNED)
        self._ready = metrics.gauge(c.READY)
        self._last_progress = metrics.gauge(c.LAST_PROGRESS)
        self._lag = LagGauges(metrics.gauge(c.LAG))
        self._pending_lag: Mapping[TopicPartition, int] | None = None
        self._lag_shown_at = float("-inf")
        self._progress_shown_at = float("-inf")
        self._waiting: list[tuple[BatchReport, float]] = []
        self._counted_at = float("-inf")
        self._last_progress.set(unix_time())
        metrics.gauge(c.BUILD_INFO, build.version, build.model, build.model_version, build.mode).set(1)

    def started(self) -> None:
        self._ready.set(1)
        self._last_progress.set(self._unix_time())

    def progressed(self) -> None:
        now = self._unix_time()
        if abs(now - self._progress_shown_at) >= COUNT_SECONDS:
            self._progress_shown_at = now
            self._last_progress.set(now)
            self._show_lag(now)

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        now = self._unix_time()
        self._count_waiting(now)
        self._pending_lag = lag
        self._show_lag(now)

    def delivered(self, report: BatchReport) -> None:
        """Counted together with the next ones: for a batch of one record, one at a time is a good part of what it costs."""
        now = self._unix_time()
        self._waiting.append((report, now))
        if abs(now - self._counted_at) >= COUNT_SECONDS:
            self._count_waiting(now)
            self._show_lag(now)

    def _count_waiting(self, now: float) -> None:
        self._counted_at = now
        waiting, self._waiting = self._waiting, []
        for report, at in waiting:
            self._count(report, at)

    def _count(self, report: BatchReport, now: float) -> None:
        self._consumed.inc(report.records)
        self._predictions.inc(report.predictions)
        if report.tombstones:
            self._tombstones.inc(report.tombstones)
        self._input_bytes.inc(report.input_bytes)
        self._delivered.inc()
        self._batch_records.observe(report.records)
        self._time(report)
        if report.oldest_timestamp_ms >= 0:
            self._end_to_end.observe(max(0.0, now - report.oldest_timestamp_ms / 1000))
        if report.refusals:
            self._count_dead_letters(report)
        self._pending_lag = report.lag

    def aborted(self, error: Exception) -> None:  # noqa: ARG002 - why is the log's business
        self._aborted.inc()

    def assignment(self, partitions: int) -> None:
        self._count_waiting(self._unix_time())
        self._assigned.set(partitions)
        if not partitions:
            self._pending_lag = None
            self._lag.show({})

    def stopped(self) -> None:
        self._ready.set(0)
        self.assignment(0)

    def _time(self, report: BatchReport) -> None:
        decode, validate, predict, encode, count, deliver = self._stages
        decode.observe(report.decode_seconds)
        validate.observe(report.validate_seconds)
        predict.observe(report.predict_seconds)
        encode.observe(report.encode_seconds)
        count.observe(report.count_seconds)
        deliver.observe(report.deliver_seconds)
        if report.predict_seconds > 0:
            self._prediction_duration.observe(report.predict_seconds)

    def _count_dead_letters(self, report: BatchReport) -> None:
        for cause, count in report.refusals.counts():
            self._metrics.counter(c.DEAD_LETTERS, cause.stage, cause.reason).inc(count)

    def _show_lag(self, now: float) -> None:
        """At most every half second: with many partitions this would be the dearest part of a batch."""
        if self._pending_lag is not None and abs(now - self._lag_shown_at) >= LAG_INTERVAL_SECONDS:
            self._lag.show(self._pending_lag)
            self._pending_lag = None
            self._lag_shown_at = now


class LagGauges:
    """One series a partition of ours; it ends when the partition goes to somebody else."""

    def __init__(self, gauge: WithdrawableGauge) -> None:
        self._gauge = gauge
        self._series: dict[TopicPartition, WithdrawableGauge] = {}

    def show(self, lag: Mapping[TopicPartition, int]) -> None:
        for partition in self._series.keys() - lag.keys():
            self._gauge.withdraw(partition.topic, str(partition.partition))
            del self._series[partition]
        for partition, records in lag.items():
            series = self._series.get(partition)
            if series is None:
                series = self._series[partition] = self._gauge.labels(partition.topic, str(partition.partition))
            series.set(records)
