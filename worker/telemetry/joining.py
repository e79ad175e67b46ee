"""The joiner's observer: its health, its metrics, and a log line for each turn of events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from worker.quality.sketch import QualitySketch
from worker.quality.tally import CONTRADICTING, DOUBLED, LABELLED
from worker.records import TopicPartition
from worker.telemetry import catalogue as c
from worker.telemetry.health import ProcessHealth
from worker.telemetry.instruments import Instruments
from worker.telemetry.metrics import LagGauges

_log = logging.getLogger("worker.joiner")


class JoinerTelemetry:
    """``unix_time`` returns seconds since 1970."""

    def __init__(self, registry: CollectorRegistry, health: ProcessHealth, *, unix_time: Callable[[], float]) -> None:
        self._health = health
        self._unix_time = unix_time
        metrics = Instruments(registry, (c.READY, c.LAST_PROGRESS, *c.JOINER_METRICS))
        self._ready = metrics.gauge(c.READY)
        self._last_progress = metrics.gauge(c.LAST_PROGRESS)
        self._assigned = metrics.gauge(c.LABELS_ASSIGNED)
        self._held = metrics.gauge(c.LABELS_HELD)
        self._labels = {outcome: metrics.counter(c.LABELS, outcome) for outcome in c.LabelOutcome}
        self._foreign = metrics.counter(c.LABELS_FOREIGN)
        self._consumed = metrics.counter(c.LABELS_CONSUMED)
        self._lag = LagGauges(metrics.gauge(c.LABELS_LAG))
        self._last_progress.set(unix_time())

    def started(self) -> None:
        self._health.started()
        self._ready.set(1)
        self._last_progress.set(self._unix_time())
        _log.info("ready: bundle verified, consumer subscribed")

    def progressed(self) -> None:
        self._health.progressed()
        self._last_progress.set(self._unix_time())

    def assignment(self, partitions: int) -> None:
        self._assigned.set(partitions)
        _log.info("joining %d partitions", partitions)

    def refused(self, predictions: int, labels: int) -> None:
        self._foreign.inc(predictions)
        self._labels[c.LabelOutcome.REFUSED].inc(labels)
        if predictions:
            _log.warning("passed over: records among the predictions that are none: %d", predictions)
        if labels:
            _log.warning("passed over: labels that can't be read, are from the future, or of no class: %d", labels)

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        self._lag.show(lag)

    def joined(self, sketch: QualitySketch, held: int, records: int) -> None:
        self._held.set(held)
        self._consumed.inc(records)
        found = {
            c.LabelOutcome.JOINED: sum(tally[LABELLED] for tally in sketch.tallies.values()),
            c.LabelOutcome.DOUBLED: sum(tally[DOUBLED] - tally[CONTRADICTING] for tally in sketch.tallies.values()),
            c.LabelOutcome.CONTRADICTING: sum(tally[CONTRADICTING] for tally in sketch.tallies.values()),
            c.LabelOutcome.UNMATCHED: sum(sketch.unmatched.values()),
        }
        for outcome, count in found.items():
            self._labels[outcome].inc(count)
        if contradicting := found[c.LabelOutcome.CONTRADICTING]:
            _log.warning("labels that contradict an earlier one of their event: %d; the first counts", contradicting)

    def aborted(self, error: Exception) -> None:
        _log.warning("delivery aborted, reading the partitions anew: %s", error)

    def stopped(self) -> None:
        self._health.stopped()
        self._ready.set(0)
        self._assigned.set(0)
        self._held.set(0)
        self._lag.show({})
        _log.info("stopped")
