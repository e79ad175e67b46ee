"""Labels on a real Kafka: realised quality is exact whatever was killed, and flipped labels are found by it alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign import GRACE_SECONDS, say
from tests.chaos.label_field import BEGIN_MS, KNOWN, WINDOW_SECONDS, Cases, label_field, pack_cases
from tests.support.brokers import KafkaUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.chaos
EVENTS, MINUTES, FLIPPED = 24_000, 30, 16
SEEN = ("doubled", "contradicting", "unmatched")


def run(
    bootstrap: str, folder: Path, cases: Cases, *, workers: int, others: int, kills: Sequence[int] = ()
) -> tuple[list[bytes], list[dict[str, Any]], list[dict[str, Any]]]:
    """Quality reports, what they have to say, and alerts. A page and a table of it all are made, too.

    ``others``: so many joiners and so many monitors. ``kills``: after so many reports the longest running worker, joiner
    and monitor get a kill -9.
    """
    place = folder / f"{workers}-workers"
    place.mkdir()
    with label_field(bootstrap, place, folder / "bundle", cases) as field:
        roles = {field.joiner: others, field.monitor: others, field.worker: workers}
        running = {start: [start() for _ in range(count)] for start, count in roles.items()}
        for reports in kills:
            field.await_quality(reports)
            for start, ours in running.items():
                ours.pop(0).kill()
                ours.append(start())
        wait_until(lambda: all("ready: " in one.text() for one in field.fleet.running), 60)
        wait_until(lambda: len(field.values("predictions")) == len(cases), 90)
        expected = field.expected()
        field.await_quality(len(expected))
        assert field.fleet.stop(GRACE_SECONDS) == [0] * (workers + 2 * others)
        show(place, field.values("quality-reports")[-1])
        return field.values("quality-reports"), expected, [KNOWN.read(value) for value in field.values("drift-alerts")]


def show(place: Path, latest: bytes) -> None:
    """``drift report`` has the figures of the latest window, beside an estimate and the held-out rows'."""
    command = [sys.executable, "-m", "worker", "drift", "report", "--config", str(place / "worker.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    table = done.stdout
    subprocess.run([*command, "--html", str(place / "drift.html")], capture_output=True, timeout=60, check=True)
    rows = {row[0]: row[1:] for line in table.splitlines() if len(row := line.split("\t")) == 5}
    accuracy = KNOWN.read(latest)["figures"]["accuracy"]
    assert rows["accuracy"][0] == f"{accuracy:.4f}"
    held_out, estimate = map(float, rows["accuracy"][2:])
    # The labels are flipped by now, which an estimate without labels can't know.
    assert accuracy < 0.2
    assert min(held_out, estimate) > 0.8
    page = (place / "drift.html").read_text("utf-8")
    assert "<h2>Quality</h2>" in page
    assert "error rate by window" in page


def test_labels(kafka: KafkaUnderTest, tmp_path: Path, chaos_long: bool) -> None:
    """Labels late up to the horizon, out of order and doubled: exactly the figures of an offline recomputation.

    Workers, joiners and monitors are killed twice meanwhile; in the long form one undisturbed process of each publishes the
    same bytes. The labels are flipped from a moment on: an episode of concept drift opens, once, and none of any feature.
    """
    pack_cases(tmp_path / "bundle")
    cases = Cases.of(EVENTS, 2, minutes=MINUTES, flipped_from=FLIPPED)
    values, expected, alerts = run(kafka.bootstrap, tmp_path, cases, workers=2, others=2, kills=(2, 9))
    reports = [KNOWN.read(value) for value in values]
    total = {name: sum(report[name] for report in reports) for name in ("labelled", *SEEN)}
    say(f"{len(reports)} reports of quality: {total}")
    assert [{name: report[name] for name in expected[0]} for report in reports] == expected
    assert len(reports) > MINUTES - 5
    assert total["labelled"] > 15_000
    assert all(total[name] > 100 for name in SEEN)
    (alert,) = alerts
    assert (alert["series"], alert["what"], alert["event"]) == ("prediction.error", "concept", "opened")
    first = BEGIN_MS + 1_000 * WINDOW_SECONDS * FLIPPED
    assert first <= alert["window_start"] <= first + 2_000 * WINDOW_SECONDS
    if chaos_long:
        alone, _, alerts_alone = run(kafka.bootstrap, tmp_path, cases, workers=1, others=1)
        assert (alone, alerts_alone) == (values, alerts)
