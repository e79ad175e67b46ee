"""What the monitor has published, read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.avro.any_record import Unreadable
from worker.bootstrap import Reference
from worker.bootstrap_outputs import output_reader
from worker.kafka.config import admin_config
from worker.kafka.needed_rights import looking_group, report_rights
from worker.kafka.rights import check_rights
from worker.kafka.spans import TopicReader
from worker.registry.reading import OutputReader
from worker.settings import Settings

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Episode:
    """What the alerts say of one: the first of them, and the latest."""

    opened: Fields
    latest: Fields

    @property
    def is_open(self) -> bool:
        return bool(self.latest["event"] != "closed")


@dataclass(frozen=True, slots=True)
class Found:
    """Of one model version, in order of the windows: reports by ``drift_report.avsc``, alerts by ``drift_alert.avsc``.

    ``quality``: by ``quality_report.avsc``, where labels are joined.
    """

    reference: Reference
    reports: Sequence[Fields]
    alerts: Sequence[Fields]
    quality: Sequence[Fields] = ()

    def judged(self) -> list[Fields]:
        return [report for report in self.reports if report["judged"]]

    def lines(self) -> dict[tuple[str, str], list[tuple[Fields, Fields]]]:
        """By series and what of it, window by window: the report, and its part of it.

        Those that have drifted in the latest window come first, then the others by how far they are out.
        """
        found: dict[tuple[str, str], list[tuple[Fields, Fields]]] = {}
        for report in self.judged():
            for one in report["series"]:
                found.setdefault((one["name"], one["what"]), []).append((report, one))
        return dict(sorted(found.items(), key=lambda item: (-item[1][-1][1]["drifted"], -item[1][-1][1]["score"])))

    def episodes(self) -> list[Episode]:
        """In the order in which they opened."""
        found: dict[str, Episode] = {}
        for alert in self.alerts:
            before = found.get(alert["episode"])
            found[alert["episode"]] = Episode(before.opened if before else alert, alert)
        return list(found.values())


def read_found(settings: Settings, reference: Reference, since_ms: int | None = None) -> Found:
    """``since_ms``: of windows that end later, in event time. Raises ConfigurationError and TransportError."""
    topics = settings.topics
    check_rights(admin_config(settings), report_rights(settings))
    schemas = output_reader(settings, ("drift_report", "drift_alert", "quality_report"))

    def records(topic: str) -> list[Fields]:
        with TopicReader(settings, topic, looking_group(settings, "drift-report")) as reader:
            values = [value for batch in reader.read(reader.spans()) for value in batch.values.to_list()]
        found = [fields for value in values if (fields := _fields(schemas, value)) is not None]
        return [fields for fields in found if _is_meant(fields, reference, since_ms)]

    quality = records(topics.quality_reports) if settings.labels.enabled else []
    return Found(reference, records(topics.drift_reports), records(topics.drift_alerts), quality)


def _fields(schemas: OutputReader, value: bytes | None) -> Fields | None:
    """None for what somebody else wrote there."""
    try:
        return schemas.read(value)
    except Unreadable:
        return None


def _is_meant(fields: Fields, reference: Reference, since_ms: int | None) -> bool:
    of_model = (fields["model_name"], fields["model_version"]) == (reference.model, reference.version)
    return of_model and (since_ms is None or fields["window_end"] > since_ms)
