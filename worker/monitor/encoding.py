"""Reports and alerts as records of their topics, by the published schemas."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worker.avro.any_record import AnySchema
from worker.drift.outcome import Alert, Outcome, QualityReport, Report
from worker.records import OutgoingBatch, Slices


@dataclass(frozen=True, slots=True)
class OutputTopics:
    """Where the monitor writes to; always their first partition, which has one order for all readers.

    ``quality`` is written to where labels are joined.
    """

    reports: str
    alerts: str
    state: str
    quality: str = ""


class OutputEncoder:
    """By the texts of ``drift_report.avsc``, ``drift_alert.avsc`` and ``quality_report.avsc``.

    ``prefixes``: what a topic's values begin with; where there is none, they are in the single-object encoding.
    """

    def __init__(
        self,
        topics: OutputTopics,
        report_schema: str,
        alert_schema: str,
        quality_schema: str,
        *,
        prefixes: Mapping[str, bytes | None] | None = None,
    ) -> None:
        self._topics = topics
        self._prefixes = prefixes or {}
        self._report = AnySchema.of(report_schema)
        self._alert = AnySchema.of(alert_schema)
        self._quality = AnySchema.of(quality_schema)

    def encode(self, outcome: Outcome, model: str, state: bytes) -> tuple[OutgoingBatch, ...]:
        """Everything of one transaction, in order. Keys: the model's name; of an alert, the episode's."""
        topics, key, prefix = self._topics, model.encode(), self._prefixes.get
        reports = [(key, self._report.write(_plain(one), prefix(topics.reports))) for one in outcome.reports]
        quality = [(key, self._quality.write(_plain(one), prefix(topics.quality))) for one in outcome.quality]
        alerts = [
            (one.episode.encode(), self._alert.write(_plain(one), prefix(topics.alerts))) for one in outcome.alerts
        ]
        written = {topics.reports: reports, topics.quality: quality, topics.alerts: alerts}
        batches = [_batch(topic, records) for topic, records in written.items() if records]
        return (*batches, _batch(topics.state, [(key, state)]))


def _plain(value: Report | QualityReport | Alert) -> dict[str, object]:
    return dataclasses.asdict(value)


def _batch(topic: str, records: Sequence[tuple[bytes, bytes]]) -> OutgoingBatch:
    keys, values = [key for key, _ in records], [value for _, value in records]
    return OutgoingBatch(topic, np.zeros(len(records), np.int64), Slices.of(keys), Slices.of(values))
