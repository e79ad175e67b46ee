"""``python -m bench.drift_days``: drift on real days without drift. No Kafka.

Each day (UTC, as windows are) of January and February 2013 in turn is held out of the flights' profile, and judged by it as
a live window would be. Whatever opens an episode is named.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.drift_streams import DIGEST
from bench.screen import say, stepping
from examples.flights.flights import load
from examples.flights.pack import WINDOW_SECONDS, pack_flights, reference_rows
from examples.flights.train import TRAINING_MONTHS
from worker.columns import Columns, Scores
from worker.drift.binning import Binning
from worker.drift.monitor import DriftMonitor
from worker.drift.reference import reference_of
from worker.drift.significance import Policy
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.models import BundlePredictor, open_bundle
from worker.records import IntArray

WINDOW_MS = WINDOW_SECONDS * 1_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.drift_days", description=__doc__)
    parser.add_argument("--rate", type=float, default=Policy().rate, help="false episodes in 1,000 windows")
    options = parser.parse_args()
    screen, begun = Console(), time.perf_counter()
    columns, scores, times_ms = departed_flights()
    opened: dict[str, list[str]] = {}
    days, flights = (found.tolist() for found in np.unique(times_ms // WINDOW_MS, return_counts=True))
    for day, count in stepping(screen, list(zip(days, flights, strict=True)), lambda one: named(one[0])):
        found = episodes(columns, scores, times_ms, day, Policy(rate=options.rate))
        opened[f"{named(day)} ({count} flights)"] = list(found)
    for name, series in opened.items():
        if series:
            say(screen, f"{name}: {', '.join(series)}")
    quiet = sum(not series for series in opened.values())
    say(screen, f"{quiet} of {len(days)} days open nothing; {time.perf_counter() - begun:.0f} s")


def departed_flights() -> tuple[Columns, Scores, IntArray]:
    """The flights of the training months that have departed, what the packed model says of them, and when they were due."""
    known = reference_rows(load(TRAINING_MONTHS))
    with tempfile.TemporaryDirectory() as folder:
        pack_flights(Path(folder) / "bundle", profiled=False)
        predictor = BundlePredictor(open_bundle(Path(folder) / "bundle"))
        predictor.check_golden()
        return known.rows, predictor.predict(known.rows), known.times


def episodes(columns: Columns, scores: Scores, times_ms: IntArray, day: int, policy: Policy) -> Iterator[str]:
    """What opens one on that day, by the profile of all the others."""
    ours = times_ms // WINDOW_MS == day
    others, own = np.flatnonzero(~ours), np.flatnonzero(ours)
    profile = reference_of(
        columns.take(others), scores.take(others), times_ms=times_ms[others], window_seconds=WINDOW_SECONDS
    )
    counts = Binning(profile).counts(columns.take(own), scores.take(own), np.zeros(len(own), np.int64), 1)[0]
    bins, end_ms = np.flatnonzero(counts), (day + 1) * WINDOW_MS
    window = WindowCounts(0, day * WINDOW_MS, len(own), bins, counts[bins])
    monitor = DriftMonitor({DIGEST: profile}, policy)
    monitor.absorb(
        Sketch("flights", "1", DIGEST, WINDOW_SECONDS, 0, "flights", (Range(0, 0, len(own), end_ms),), (window,))
    )
    outcome = monitor.close(frozenset(), 1)
    assert [report.records for report in outcome.reports] == [len(own)]
    return (f"{alert.series} ({alert.what})" for alert in outcome.alerts if alert.event == "opened")


def named(day: int) -> str:
    return dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + day).isoformat()


if __name__ == "__main__":
    main()
