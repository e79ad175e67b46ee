"""Reports and alerts as records of their topics, by the published schemas."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.avro.any_record import AnySchema
from worker.drift.outcome import Alert, Outcome, Report
from worker.records import OutgoingBatch, Slices


@dataclass(frozen=True, slots=True)
class OutputTopics:
    """Where the monitor writes to; always their first partition, which has one order for all readers."""

    reports: str
    alerts: str
    state: str


class OutputEncoder:
    """By the texts of ``schemas/drift_report.avsc`` and ``schemas/drift_alert.avsc``."""

    def __init__(self, topics: OutputTopics, report_schema: str, alert_schema: str) -> None:
        self._topics = topics
        self._report = AnySchema.of(report_schema)
        self._alert = AnySchema.of(alert_schema)

    def encode(self, outcome: Outcome, model: str, state: bytes) -> tuple[OutgoingBatch, ...]:
        """Everything of one transaction, in order. Keys: the model's name; of an alert, the episode's."""
        return (
            _batch(
                self._topics.reports,
                [(model.encode(), self._report.write(_plain(report))) for report in outcome.reports],
            ),
            _batch(
                self._topics.alerts,
                [(alert.episode.encode(), self._alert.write(_plain(alert))) for alert in outcome.alerts],
            ),
            _batch(self._topics.state, [(model.encode(), state)]),
        )


def _plain(value: Report | Alert) -> dict[str, object]:
    return dataclasses.asdict(value)


def _batch(topic: str, records: Sequence[tuple[bytes, bytes]]) -> OutgoingBatch:
    keys, values = [key for key, _ in records], [value for _, value in records]
    return OutgoingBatch(topic, np.zeros(len(records), np.int64), Slices.of(keys), Slices.of(values))
