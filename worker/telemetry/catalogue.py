"""Every metric, in one place: the observers, ``docs/metrics.md``, dashboards and alert rules are tested against it.

Rules: base units, counters end in ``_total``, and every label takes its values from a bounded set (configuration, an
enum, the partitions of the input topic), never from a record.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

Merging = Literal["livesum", "livemin", "livemax", "livemostrecent"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_AGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
_RECORDS = (1.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0)


class MetricKind(enum.StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class BatchOutcome(enum.StrEnum):
    """The ``outcome`` label."""

    DELIVERED = "delivered"
    ABORTED = "aborted"


class TimedStage(enum.StrEnum):
    """The ``stage`` label of the durations."""

    DECODE = "decode"
    VALIDATE = "validate"
    PREDICT = "predict"
    ENCODE = "encode"
    COUNT = "count"
    DELIVER = "deliver"


class LabelOutcome(enum.StrEnum):
    """The ``outcome`` label of the labels."""

    JOINED = "joined"
    DOUBLED = "doubled"
    CONTRADICTING = "contradicting"
    UNMATCHED = "unmatched"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``buckets`` are a histogram's upper bounds, in its unit, without infinity.

    ``merging`` is how a gauge of several processes becomes one figure; counters and histograms are added.
    """

    name: str
    kind: MetricKind
    documentation: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    merging: Merging = "livesum"


def _counter(name: str, documentation: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name, MetricKind.COUNTER, documentation, labels, unit)


def _gauge(name: str, documentation: str, *labels: str, unit: str = "", merging: Merging = "livesum") -> Metric:
    return Metric(name, MetricKind.GAUGE, documentation, labels, unit, merging=merging)


def _histogram(name: str, documentation: str, *labels: str, unit: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, MetricKind.HISTOGRAM, documentation, labels, unit, buckets)


PREDICTIONS = _counter("model_predictions_total", "Predictions delivered.", "model", "version")
PREDICTION_DURATION = _histogram(
    "model_prediction_duration_seconds",
    "Time in the model; observed once per delivered batch in which the model was called.",
    unit="seconds",
    buckets=_SECONDS,
)
END_TO_END = _histogram(
    "event_end_to_end_seconds",
    "Age of the oldest record of a batch by its Kafka timestamp when the batch's results were durable "
    "(on their way: at least once of a small batch, exactly once of one of 500 records or more); "
    "observed once per delivered batch, 0 for a timestamp in the future, left out without one.",
    unit="seconds",
    buckets=_AGE_SECONDS,
)
LAG = _gauge(
    "consumer_lag_records",
    "Records between our position and the end of the partition; only for partitions of ours, at most 0.5 s old "
    "while batches are delivered.",
    "topic",
    "partition",
    unit="records",
    merging="livemostrecent",
)
CONSUMED = _counter("worker_records_consumed_total", "Records of delivered batches, whatever became of them.")
DEAD_LETTERS = _counter("worker_dead_letters_total", "Dead letters delivered.", "stage", "reason")
TOMBSTONES = _counter("worker_tombstones_total", "Records without a value that were skipped by policy.")
BATCHES = _counter("worker_batches_total", "Batches by outcome; an aborted one is read again.", "outcome")
BATCH_RECORDS = _histogram("worker_batch_records", "Records in a delivered batch.", unit="records", buckets=_RECORDS)
INPUT_BYTES = _counter("worker_input_bytes_total", "Key and value bytes of delivered batches.", unit="bytes")
STAGE_DURATION = _histogram(
    "worker_stage_duration_seconds",
    "Time in one stage of the flow; observed once per delivered batch.",
    "stage",
    unit="seconds",
    buckets=_SECONDS,
)
ASSIGNED = _gauge("worker_assigned_partitions", "Partitions of the input topic that are ours.")
READY = _gauge("worker_ready", "Processes whose model is verified and whose consumer is subscribed.")
LAST_PROGRESS = _gauge(
    "worker_last_progress_timestamp_seconds",
    "Unix time at which the loop last went round (at first: of the start); of several processes, the one furthest "
    "behind.",
    unit="seconds",
    merging="livemin",
)
BUILD_INFO = _gauge(
    "worker_build_info", "Always 1; what runs is in the labels.", "version", "model", "model_version", "mode",
    merging="livemax",
)  # fmt: skip

WORKER_METRICS = (
    PREDICTIONS,
    PREDICTION_DURATION,
    END_TO_END,
    LAG,
    CONSUMED,
    DEAD_LETTERS,
    TOMBSTONES,
    BATCHES,
    BATCH_RECORDS,
    INPUT_BYTES,
    STAGE_DURATION,
    ASSIGNED,
    READY,
    LAST_PROGRESS,
    BUILD_INFO,
)

DRIFT_SCORE = _gauge(
    "drift_score",
    "The deciding statistic of a series in the latest window that was judged, in units of its threshold: above 1 it has "
    "drifted; by what of it: its distribution, missing values, unseen categories.",
    "model",
    "version",
    "series",
    "what",
    merging="livemostrecent",
)
DRIFT_EPISODES = _gauge("drift_open_episodes", "Episodes of drift that are open.", "model")
QUALITY_EPISODES = _gauge(
    "quality_open_episodes", "Episodes of concept drift that are open; drift_open_episodes counts them, too.", "model"
)
DRIFT_ALERTS = _counter("drift_alerts_total", "Alerts published.", "model", "event", "severity")
DRIFT_WINDOWS = _counter("drift_windows_closed_total", "Windows closed and reported.", "model")
DRIFT_WINDOW_END = _gauge(
    "drift_last_window_end_timestamp_seconds",
    "End of the latest window that was closed, in event time.",
    "model",
    unit="seconds",
    merging="livemax",
)
DRIFT_LATE = _counter(
    "drift_late_records_total", "Records that were counted in no window: too late, or too far ahead.", "model"
)
DRIFT_SKETCHES = _counter("drift_sketches_total", "Sketches added up.")
DRIFT_REFUSED = _counter("drift_sketches_refused_total", "Records among the sketches that are none.")
DRIFT_ACTIVE = _gauge("drift_monitors_active", "1 in the monitor that merges and decides; the others stand by.")

QUALITY_FIGURE = _gauge(
    "quality_realised",
    "A figure of realised quality in the latest window whose labels have had their time, such as accuracy or log_loss.",
    "model",
    "version",
    "variant",
    "figure",
    merging="livemostrecent",
)
QUALITY_ESTIMATE = _gauge(
    "quality_estimated",
    "An estimate of the same figure for the latest window of drift, made of the model's scores and without labels.",
    "model",
    "version",
    "figure",
    merging="livemostrecent",
)
QUALITY_SHARE = _gauge(
    "quality_labelled_ratio",
    "Share of the latest such window's predictions whose label came within the horizon.",
    "model",
    "version",
    "variant",
    merging="livemostrecent",
)
QUALITY_WINDOWS = _counter("quality_windows_closed_total", "Windows of realised quality closed and reported.", "model")
QUALITY_WINDOW_END = _gauge(
    "quality_last_window_end_timestamp_seconds",
    "End of the latest window of realised quality that was closed, in event time.",
    "model",
    unit="seconds",
    merging="livemax",
)

MONITOR_METRICS = (
    QUALITY_FIGURE,
    QUALITY_ESTIMATE,
    QUALITY_SHARE,
    QUALITY_WINDOWS,
    QUALITY_WINDOW_END,
    DRIFT_SCORE,
    DRIFT_EPISODES,
    QUALITY_EPISODES,
    DRIFT_ALERTS,
    DRIFT_WINDOWS,
    DRIFT_WINDOW_END,
    DRIFT_LATE,
    DRIFT_SKETCHES,
    DRIFT_REFUSED,
    DRIFT_ACTIVE,
)

LABELS = _counter(
    "labels_total",
    "Labels by what became of them; a refused one can't be read, or is none of the model's classes.",
    "outcome",
)
LABELS_FOREIGN = _counter("labels_predictions_refused_total", "Records among the predictions that are none.")
LABELS_HELD = _gauge("labels_held_predictions", "Events whose prediction is held for labels to come.")
LABELS_ASSIGNED = _gauge("labels_assigned_partitions", "Partitions whose labels and predictions are joined here.")
LABELS_CONSUMED = _counter(
    "labels_records_consumed_total", "Predictions and labels that were read, and are within delivered transactions."
)
LABELS_LAG = _gauge(
    "labels_lag_records",
    "Records of the predictions and of the labels that the joiner has not read yet; only for partitions that are joined here.",
    "topic",
    "partition",
    unit="records",
    merging="livemostrecent",
)

JOINER_METRICS = (LABELS, LABELS_FOREIGN, LABELS_HELD, LABELS_ASSIGNED, LABELS_CONSUMED, LABELS_LAG)

PROCESSES = _gauge("supervisor_processes", "Processes that should be running.")
RESTARTS = _counter("supervisor_restarts_total", "Processes started again after they had ended unasked.")

SUPERVISOR_METRICS = (PROCESSES, RESTARTS)

# Built by prometheus_client (one process) or ``shared.ProcessTree`` (several: summed), named here for the documentation.
PROCESS_METRICS = (
    _counter("process_cpu_seconds_total", "CPU time spent, user and system.", unit="seconds"),
    _gauge("process_resident_memory_bytes", "Resident memory.", unit="bytes"),
    _gauge("process_virtual_memory_bytes", "Virtual memory.", unit="bytes"),
    _gauge("process_open_fds", "Open file descriptors."),
    _gauge("process_max_fds", "Most file descriptors that one process may open.", merging="livemin"),
    _gauge("process_start_time_seconds", "Unix time at which the first process started.", unit="seconds",
           merging="livemin"),
)  # fmt: skip

CATALOGUE = (*WORKER_METRICS, *MONITOR_METRICS, *JOINER_METRICS, *SUPERVISOR_METRICS, *PROCESS_METRICS)
