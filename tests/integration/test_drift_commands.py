"""``drift report`` and ``drift replay`` on what workers and a monitor left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign import GRACE_SECONDS
from tests.chaos.drift_field import KNOWN, DriftField, Readings, drift_field, expected_windows, pack_readings
from tests.support.brokers import KafkaUnderTest

MINUTES, SHIFT = 12, 8


@pytest.fixture(scope="module")
def left_behind(kafka: KafkaUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriftField]:
    """Everything is counted, judged and published, and nobody runs any more."""
    folder = tmp_path_factory.mktemp("drift")
    pack_readings(folder / "bundle")
    readings = Readings.of(12_000, 2, minutes=MINUTES, shift_from=SHIFT)
    with drift_field(kafka.bootstrap, folder, folder / "bundle", readings) as field:
        field.monitor()
        field.fleet.start()
        field.await_reports(len(expected_windows(readings)))
        field.fleet.stop(GRACE_SECONDS)
        yield field


def says(field: DriftField, *command: str) -> tuple[str, str]:
    """What is printed to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "drift", *command, "--config", str(field.fleet.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_report(left_behind: DriftField) -> None:
    """In a pipe a line a series and a line an episode; as JSON what was published."""
    reports, alerts = ([KNOWN.read(value) for value in values] for values in left_behind.published())
    out, err = says(left_behind, "report")
    rows = [line.split("\t") for line in out.splitlines()]
    assert {(row[0], row[5]) for row in rows if row[1:2] == ["distribution"]} == {
        *(("x", "yes"), ("prediction.score", "yes"), ("y", "no"))
    }
    assert {row[3] for row in rows if row[1:2] == ["open"]} == {"x", "prediction.score"}
    assert f"readings 1.0.0: {len(reports)} windows" in err
    found = objects(says(left_behind, "report", "--json")[0])
    assert [one for one in found if one.pop("kind") == "report"] == reports
    assert len(found) == len(reports) + len(alerts)


def test_report_since(left_behind: DriftField) -> None:
    """Only windows that end later are shown, by event time."""
    reports, _ = ([KNOWN.read(value) for value in values] for values in left_behind.published())
    _, err = says(left_behind, "report", "--since", "2023-11-14T22:20:00Z")
    later = [report for report in reports if report["window_end"] > 1_700_000_400_000]
    assert 0 < len(later) < len(reports)
    assert f"readings 1.0.0: {len(later)} windows" in err


def test_page(left_behind: DriftField, tmp_path: Path) -> None:
    """The page has every series, and the histogram of what has drifted."""
    says(left_behind, "report", "--html", str(tmp_path / "drift.html"))
    text = (tmp_path / "drift.html").read_text("utf-8")
    assert "<h1>Drift of readings 1.0.0</h1>" in text
    assert text.count("<section>") == 6
    assert "<details open>" in text


def test_replay(left_behind: DriftField) -> None:
    """With the same thresholds the sketches tell the episodes that were published; with others, other ones."""
    _, alerts = ([KNOWN.read(value) for value in values] for values in left_behind.published())
    assert objects(says(left_behind, "replay", "--json")[0]) == alerts
    out, err = says(left_behind, "replay", "--effect-floor", "0.99")
    assert out == ""
    assert err.startswith("0 episodes in ")
