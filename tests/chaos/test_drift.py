"""Drift on a real Kafka: the same reports and alerts, byte for byte, whoever counted and whatever was killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.campaign import GRACE_SECONDS, say
from tests.chaos.drift_field import KNOWN, WINDOW_SECONDS, Readings, drift_field, expected_windows, pack_readings
from tests.support.brokers import KafkaUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.chaos
EVENTS, MINUTES, SHIFT = 40_000, 30, 20


def run(
    bootstrap: str, folder: Path, readings: Readings, *, workers: int, monitors: int, kills: Sequence[int] = ()
) -> tuple[list[bytes], list[bytes]]:
    """Reports and alerts. ``kills``: after so many reports the longest running monitor and worker get a kill -9."""
    place = folder / f"{workers}-workers"
    place.mkdir()
    with drift_field(bootstrap, place, folder / "bundle", readings) as field:
        roles = {field.monitor: monitors, field.fleet.start: workers}
        running = {start: [start() for _ in range(count)] for start, count in roles.items()}
        for reports in kills:
            field.await_reports(reports)
            for start, ours in running.items():
                ours.pop(0).kill()
                ours.append(start())
        field.await_reports(len(expected_windows(readings)))
        wait_until(lambda: all("ready: " in one.text() for one in field.fleet.running), 60)
        assert field.fleet.stop(GRACE_SECONDS) == [0] * (workers + monitors)
        return field.published()


def test_whoever_counted(kafka: KafkaUnderTest, tmp_path: Path) -> None:
    """One worker and one monitor publish the same as three workers and two monitors that are killed again and again.

    The means of the partitions are far apart, so that what each worker sees is another distribution than the reference.
    """
    pack_readings(tmp_path / "bundle")
    readings = Readings.of(EVENTS, 2, minutes=MINUTES, shift_from=SHIFT)
    expected = expected_windows(readings)
    alone = run(kafka.bootstrap, tmp_path, readings, workers=1, monitors=1)
    killed = run(kafka.bootstrap, tmp_path, readings, workers=3, monitors=2, kills=(4, 12))
    say(f"{len(alone[0])} reports and {len(alone[1])} alerts, twice")
    assert alone == killed
    reports, alerts = ([KNOWN.read(value) for value in values] for values in alone)
    assert {report["window_start"]: (report["records"], report["late"]) for report in reports} == expected
    assert {(alert["series"], alert["event"]) for alert in alerts} == {("x", "opened"), ("prediction.score", "opened")}
    assert {alert["window_start"] for alert in alerts} == {min(expected) + 1_000 * WINDOW_SECONDS * (SHIFT + 1)}
