"""What the drift monitor says of itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.monitor.test_encoding import ALERT, REPORT
from worker.drift.outcome import Outcome
from worker.telemetry.health import ProcessHealth
from worker.telemetry.monitoring import MonitorTelemetry
from worker.testing import ManualClock


class Bed:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.health = ProcessHealth(ManualClock())
        self.telemetry = MonitorTelemetry(self.registry, self.health, "m", unix_time=lambda: 1_000.0)

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        return self.registry.get_sample_value(name, dict(labels or {}))


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_windows_and_alerts(bed: Bed) -> None:
    """A delivered outcome is counted, and the scores of its latest window are shown by series and what of it."""
    bed.telemetry.judged(Outcome((REPORT,), (ALERT,)), 1, 0)
    of_model = {"model": "m"}
    assert bed.value("drift_windows_closed_total", of_model) == 1
    assert bed.value("drift_late_records_total", of_model) == 1
    assert bed.value("drift_open_episodes", of_model) == 1
    assert bed.value("drift_last_window_end_timestamp_seconds", of_model) == 120
    assert bed.value("drift_alerts_total", {**of_model, "event": "opened", "severity": "major"}) == 1
    assert bed.value("drift_score", {**of_model, "version": "1.0.0", "series": "x", "what": "missing"}) == 2


def test_alerts_are_counted_from_nought(bed: Bed) -> None:
    """Each kind of alert is shown before the first, so that the first is an increase."""
    for event in ("opened", "updated", "closed"):
        for severity in ("minor", "major", "critical"):
            assert bed.value("drift_alerts_total", {"model": "m", "event": event, "severity": severity}) == 0


def test_standing_by_is_ready(bed: Bed) -> None:
    """A monitor that stands by is ready; which one is active is a metric of its own."""
    assert bed.health.unready() == "starting"
    bed.telemetry.started()
    assert bed.health.unready() is None
    assert (bed.value("worker_ready"), bed.value("drift_monitors_active")) == (1, 0)
    bed.telemetry.assignment(1)
    assert bed.value("drift_monitors_active") == 1
    bed.telemetry.stopped()
    assert (bed.value("worker_ready"), bed.value("drift_monitors_active")) == (0, 0)
    assert bed.health.unready() == "stopping"


def test_foreign_records(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """What is no sketch is counted, and told of once with its offset."""
    bed.telemetry.refused(7, "no drift sketch")
    assert bed.value("drift_sketches_refused_total") == 1
    assert [vars(record)["offset"] for record in caplog.records] == [7]
