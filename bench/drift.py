"""``python -m bench.drift``: false episodes of drift without drift, and how soon a shift is found. No Kafka.

Seeded streams of 50 features, 1,000 records a window; the profile is made of a training period of 60 windows, by the code
of ``model pack``. Beside the monitor, on the same windows, customary rules with the same closing of episodes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.drift_judges import CUSTOMARY, ORACLES, Judged, Opened, Rule, Run, judge, oracles
from bench.drift_streams import BLOCKS, KINDS, SHIFT_FROM, SHIFTED, SHIFTS, SLOW, WINDOW_RECORDS, Kind, Stream
from bench.machine import machine
from bench.screen import Sheet, say, show, stepping

LONG_BLOCKS, WATCHED = 480, 100
RATE = ("monitor, rate 1", 1.0)
RATES = dict([RATE, ("monitor, rate 10", 10.0)])
REPORTING_SEED = 1_000
"""Seeds below were for choosing constants; those of reports begin here."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.drift", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="streams of each kind")
    parser.add_argument("--windows", type=int, default=1_000, help="without drift, a stream")
    parser.add_argument("--seed", type=int, default=REPORTING_SEED, help="of the first stream")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    screen, begun = Console(), time.perf_counter()
    seeds = range(options.seed, options.seed + options.runs)
    quiet = [(kind, BLOCKS) for kind in KINDS] + [(SLOW, BLOCKS), (SLOW, LONG_BLOCKS)]
    limits: dict[str, list[Rule]] = {}
    false = []
    for kind, blocks in stepping(screen, quiet, lambda one: f"no drift: {one[0].title}, {one[1]} blocks"):
        found = [judge(Run(Stream(kind, seed, WINDOW_RECORDS), blocks, options.windows), RATES) for seed in seeds]
        highest = {measure: [value for one in found for value in one.highest[measure]] for measure in ORACLES}
        limits.setdefault(kind.title, oracles(highest))
        false.append({"stream": kind.title, "blocks": blocks, "episodes": _false(found, options.windows)})
    shifted = [(kind, shift) for kind in KINDS for shift in SHIFTS]
    delays = [
        {"stream": kind.title, "shift": shift, "windows": _delays(kind, shift, seeds, limits[kind.title])}
        for kind, shift in stepping(screen, shifted, lambda one: f"{one[0].title}, shift {one[1]}")
    ]
    results = {
        "false": false,
        "delays": delays,
        "limits": {title: {rule.name: rule.limit for rule in rules} for title, rules in limits.items()},
    }
    for sheet in sheets(results):
        show(screen, sheet)
    say(screen, f"{options.runs} streams of each kind, {time.perf_counter() - begun:.0f} s; {machine()['processor']}")
    if options.json:
        told = {"runs": options.runs, "windows": options.windows, "seed": options.seed, "machine": machine()}
        options.json.write_text(json.dumps(told | results, indent=1), encoding="utf-8")


def _false(found: Sequence[Judged], windows: int) -> dict[str, list[float]]:
    """Episodes in 1,000 windows, a figure a stream, by judge."""
    return {name: [1_000 * len(one.opened[name]) / windows for one in found] for name in found[0].opened}


def _delays(kind: Kind, shift: float, seeds: Sequence[int], limits: Sequence[Rule]) -> dict[str, list[int | None]]:
    """In which window of the shift its episode opened, 1 the first; None: not within those watched. By judge."""
    found: dict[str, list[int | None]] = {}
    for seed in seeds:
        run = Run(Stream(kind, seed, WINDOW_RECORDS), BLOCKS, SHIFT_FROM + WATCHED, SHIFT_FROM, shift)
        for name, opened in judge(run, dict([RATE]), [*CUSTOMARY, *limits]).opened.items():
            found.setdefault(name, []).append(_delay(opened))
    return found


def _delay(opened: Opened) -> int | None:
    delays = [window - SHIFT_FROM + 1 for window, feature in opened if feature == SHIFTED and window >= SHIFT_FROM]
    return min(delays, default=None)


def sheets(results: dict[str, Any]) -> list[Sheet]:
    judges = list(results["false"][0]["episodes"])
    shifted = list(results["delays"][0]["windows"])
    false = [
        [one["stream"], str(one["blocks"]), *(_mean(one["episodes"][name]) for name in judges)]
        for one in results["false"]
    ]
    delays = [
        [one["stream"], str(one["shift"]), *(_median(one["windows"][name]) for name in shifted)]
        for one in results["delays"]
    ]
    return [
        Sheet("Episodes in 1,000 windows without drift, all features", ["stream", "blocks", *judges], false),
        Sheet("Windows until a shift's episode opens, median (and found)", ["stream", "shift", *shifted], delays),
    ]


def _mean(episodes: Sequence[float]) -> str:
    return f"{statistics.mean(episodes):,.1f}"


def _median(delays: Sequence[int | None]) -> str:
    """Those that were not found count as later than any."""
    found = [delay for delay in delays if delay is not None]
    middle = sorted(float("inf") if delay is None else delay for delay in delays)[(len(delays) - 1) // 2]
    return f"{'never' if middle == float('inf') else f'{middle:g}'} ({len(found)}/{len(delays)})"


if __name__ == "__main__":
    main()
