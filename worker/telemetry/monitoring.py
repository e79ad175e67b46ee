"""The drift monitor's observer: its health, its metrics, and a log line for each turn of events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import product
from typing import get_args

from prometheus_client import CollectorRegistry

from worker.drift.outcome import Alert, EpisodeEvent, Outcome, QualityReport, Report, Severity
from worker.quality.monitor import CONCEPT, series_of
from worker.telemetry import catalogue as c
from worker.telemetry.health import ProcessHealth
from worker.telemetry.instruments import Instruments

_log = logging.getLogger("worker.monitor")


class MonitorTelemetry:
    """``unix_time`` returns seconds since 1970. The labels are the model and the series of its profile, nothing of a record."""

    def __init__(
        self, registry: CollectorRegistry, health: ProcessHealth, model: str, *, unix_time: Callable[[], float]
    ) -> None:
        self._health = health
        self._model = model
        self._unix_time = unix_time
        self._metrics = Instruments(registry, (c.READY, c.LAST_PROGRESS, *c.MONITOR_METRICS))
        self._ready = self._metrics.gauge(c.READY)
        self._last_progress = self._metrics.gauge(c.LAST_PROGRESS)
        self._active = self._metrics.gauge(c.DRIFT_ACTIVE)
        self._episodes = self._metrics.gauge(c.DRIFT_EPISODES, model)
        self._concepts = self._metrics.gauge(c.QUALITY_EPISODES, model)
        self._windows = self._metrics.counter(c.DRIFT_WINDOWS, model)
        self._window_end = self._metrics.gauge(c.DRIFT_WINDOW_END, model)
        self._late = self._metrics.counter(c.DRIFT_LATE, model)
        self._sketches = self._metrics.counter(c.DRIFT_SKETCHES)
        self._refused = self._metrics.counter(c.DRIFT_REFUSED)
        # A series that began with its first alert would hide it from `increase`.
        for labels in product(get_args(EpisodeEvent), get_args(Severity)):
            self._metrics.counter(c.DRIFT_ALERTS, model, *labels)
        self._last_progress.set(unix_time())

    def started(self) -> None:
        self._health.started()
        self._ready.set(1)
        self._last_progress.set(self._unix_time())
        _log.info("ready: profile verified, consumer subscribed")

    def progressed(self) -> None:
        self._health.progressed()
        self._last_progress.set(self._unix_time())

    def assignment(self, partitions: int) -> None:
        self._active.set(partitions)
        _log.info("active" if partitions else "standing by")

    def absorbed(self, sketches: int) -> None:
        self._sketches.inc(sketches)

    def refused(self, offset: int, why: str) -> None:
        self._refused.inc()
        _log.warning("passed over: %s", why, extra={"offset": offset})

    def judged(self, outcome: Outcome, episodes: int, concepts: int) -> None:
        self._episodes.set(episodes)
        self._concepts.set(concepts)
        self._windows.inc(len(outcome.reports))
        self._late.inc(sum(report.late for report in outcome.reports))
        if outcome.reports:
            self._window_end.set(max(report.window_end for report in outcome.reports) / 1_000)
        self._score(outcome.reports)
        for quality in outcome.quality:
            self._realised(quality)
        for alert in outcome.alerts:
            self._tell(alert)

    def aborted(self, error: Exception) -> None:
        _log.warning("delivery aborted, beginning again from the last state: %s", error)

    def stopped(self) -> None:
        self._health.stopped()
        self._ready.set(0)
        self._active.set(0)
        _log.info("stopped")

    def _score(self, reports: Sequence[Report]) -> None:
        latest = next((report for report in reversed(reports) if report.judged), None)
        if latest is not None:
            for one in latest.series:
                labels = (self._model, latest.model_version, one.name, one.what)
                self._metrics.gauge(c.DRIFT_SCORE, *labels).set(one.score)
            for figure, value in latest.estimated.items():
                self._metrics.gauge(c.QUALITY_ESTIMATE, self._model, latest.model_version, figure).set(value)

    def _realised(self, report: QualityReport) -> None:
        self._metrics.counter(c.QUALITY_WINDOWS, self._model).inc()
        self._metrics.gauge(c.QUALITY_WINDOW_END, self._model).set(report.window_end / 1_000)
        which = self._model, report.model_version, report.variant
        self._metrics.gauge(c.QUALITY_SHARE, *which).set(report.share_labelled)
        for figure, value in report.figures.items():
            self._metrics.gauge(c.QUALITY_FIGURE, *which, figure).set(value)
        if report.judged:
            labels = (self._model, report.model_version, series_of(report.variant), CONCEPT)
            self._metrics.gauge(c.DRIFT_SCORE, *labels).set(report.score)

    def _tell(self, alert: Alert) -> None:
        self._metrics.counter(c.DRIFT_ALERTS, self._model, alert.event, alert.severity).inc()
        _log.log(
            logging.INFO if alert.event == "closed" else logging.WARNING,
            "drift %s: %s of %s",
            alert.event,
            alert.what,
            alert.series,
            extra={"episode": alert.episode, "severity": alert.severity, "effect": round(alert.effect, 4)},
        )
