"""The composition root of what our outputs name their schema by: its fingerprint, or the id that a registry has for it.

By the registry only what others read: predictions, and the monitor's reports and alerts. Sketches and the monitor's state
are between our own processes, which need no registry for them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from worker.avro.encode import PredictionEncoder, ServedBy
from worker.monitor.encoding import OutputEncoder, OutputTopics
from worker.registry.outputs import check_registry, output_prefix
from worker.registry.reading import OutputReader
from worker.settings import Settings
from worker.shipped import output_schema


def prediction_encoder(settings: Settings, served_by: ServedBy) -> PredictionEncoder:
    """Raises ConfigurationError and TransportError."""
    _check(settings)
    return PredictionEncoder(
        output_schema("prediction"), served_by, _prefix(settings, settings.topics.predictions, "prediction")
    )


def monitor_encoder(settings: Settings) -> OutputEncoder:
    """Likewise."""
    _check(settings)
    topics = settings.topics
    schemas = {topics.drift_reports: "drift_report", topics.drift_alerts: "drift_alert"}
    quality = {topics.quality_reports: "quality_report"} if settings.labels.enabled else {}
    prefixes = {topic: _prefix(settings, topic, name) for topic, name in (schemas | quality).items()}
    return OutputEncoder(
        OutputTopics(topics.drift_reports, topics.drift_alerts, topics.drift_state, topics.quality_reports),
        *map(output_schema, ("drift_report", "drift_alert", "quality_report")),
        prefixes=prefixes,
    )


def output_reader(settings: Settings, names: Iterable[str]) -> OutputReader:
    """Reads records of these schemas of ours, whichever way they name them."""
    return OutputReader(map(output_schema, names), settings.registry, time.monotonic)


def _check(settings: Settings) -> None:
    if settings.registry.url:
        check_registry(settings.registry)


def _prefix(settings: Settings, topic: str, name: str) -> bytes | None:
    return output_prefix(settings.registry, topic, name, output_schema(name))
