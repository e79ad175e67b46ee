"""Every contender at full load, in interleaved rounds: rate, CPU, memory, time to the first prediction, stages."""

from __future__ import annotations

import argparse
import itertools
import re
import statistics
from dataclasses import dataclass
from typing import Any

from bench.contenders.meter import STAGES
from bench.contenders.run import Run
from bench.figures import median, quartiles, spread
from bench.grounds import AT_LEAST_ONCE, EXACTLY_ONCE, Grounds, Stream
from bench.models import Model
from bench.processes import measure as measured
from bench.processes import warm_up
from bench.screen import Sheet, stepping
from bench.svg import bar_chart

MODES = (EXACTLY_ONCE, AT_LEAST_ONCE)
# The naive loop gets fewer events: at its speed they would take minutes.
NAIVE_SHARE = 0.05
PASS_THROUGH, OWN_EDGE = "pass-through", "own edge"
NO_MODEL = (PASS_THROUGH, OWN_EDGE)


@dataclass(frozen=True, slots=True)
class Row:
    contender: str
    mode: str
    stream: Stream
    model: Model = Model.LOGISTIC
    counted: bool = False

    @property
    def title(self) -> str:
        counting = ", counting all fields" if self.counted else ""
        return self.contender if self.contender in NO_MODEL else f"{self.contender}, {self.model.label}{counting}"

    @property
    def name(self) -> str:
        return f"{self.title}, {self.mode}, {self.stream.label}"

    def run(self, grounds: Grounds) -> Run:
        share = NAIVE_SHARE if self.contender == "naive loop" else 1
        events = max(1, int(self.stream.events * share))
        return grounds.run(self.contender, self.mode, self.stream, self.model, events=events, counted=self.counted)


def rows(events: Stream, traced: Stream, flights: Stream) -> list[Row]:
    """Each has its ceiling, pass-through of the same stream and mode, among the others."""
    ours = [
        (PASS_THROUGH, Model.LOGISTIC),
        (OWN_EDGE, Model.LOGISTIC),
        ("worker", Model.LOGISTIC),
        ("worker", Model.FOREST),
        ("worker", Model.BOOSTING),
    ]
    return [
        *(Row(name, mode, events, model) for mode, (name, model) in itertools.product(MODES, ours)),
        *(Row("worker", mode, events, counted=True) for mode in MODES),
        *(Row(name, mode, traced) for mode, name in itertools.product(MODES, (PASS_THROUGH, "worker"))),
        *(Row(name, AT_LEAST_ONCE, events) for name in ("batch loop", "naive loop")),
        *(Row(name, EXACTLY_ONCE, flights) for name in (PASS_THROUGH, "worker")),
        Row("worker", EXACTLY_ONCE, flights, Model.BOOSTING),
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=300_000, help="in each stream; the flights are 284,821 at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="only rows in whose name this regular expression is found"
    )


def measure(grounds: Grounds, options: argparse.Namespace) -> dict[str, Any]:
    events = grounds.stream(options.events)
    traced = grounds.stream(options.events, traced=True)
    plan = [row for row in rows(events, traced, grounds.flights(options.events)) if re.search(options.only, row.name)]
    for row in plan:
        row.run(grounds)  # trains what it needs, before anything is measured
    warm_up(plan[0].run(grounds))
    runs: dict[Row, list[dict[str, float]]] = {row: [] for row in plan}
    # Another one is first in every round.
    order = [(n, plan[(k + n) % len(plan)]) for n in range(options.rounds) for k in range(len(plan))]
    for _, row in stepping(grounds.console, order, lambda step: f"round {step[0] + 1}: {step[1].title}"):
        runs[row].append(measured(row.run(grounds)))
    return {"rounds": options.rounds, "events": options.events, "rows": [_told(row, runs[row]) for row in plan]}


def sheets(results: dict[str, Any]) -> list[Sheet]:
    return [_rates(results), _stages(results)]


def charts(results: dict[str, Any]) -> dict[str, str]:
    bars = [
        (f"{row['title']} ({_short(row)})", median(row["runs"], "rate"), *quartiles(row["runs"], "rate"))
        for row in results["rows"]
        if row["stream"] != "flights"
    ]
    return {"throughput": bar_chart("Events a second, 23 fields (median, quartiles)", bars)}


def _told(row: Row, runs: list[dict[str, float]]) -> dict[str, Any]:
    told = {"title": row.title, "contender": row.contender, "mode": row.mode, "stream": row.stream.label}
    return {**told, "runs": runs}


def _rates(results: dict[str, Any]) -> Sheet:
    ceilings = {
        (row["mode"], row["stream"]): median(row["runs"], "rate")
        for row in results["rows"]
        if row["contender"] == PASS_THROUGH
    }
    shown = [
        [
            row["title"],
            row["mode"],
            row["stream"],
            f"{median(row['runs'], 'rate'):,.0f}",
            spread(row["runs"], "rate"),
            _of_ceiling(row, ceilings),
            f"{median(row['runs'], 'cpu_us'):.1f}",
            f"{median(row['runs'], 'peak_mb'):.0f}",
            f"{median(row['runs'], 'first_seconds'):.1f}",
        ]
        for row in results["rows"]
    ]
    columns = ("contender", "delivery", "events", "events/s", "quartiles", "of pass-through", "CPU µs", "peak MB")
    title = f"Throughput: medians of {results['rounds']} rounds of {results['events']:,} events"
    return Sheet(title, (*columns, "start s"), shown, labels=3)


def _of_ceiling(row: dict[str, Any], ceilings: dict[tuple[str, str], float]) -> str:
    ceiling = ceilings.get((row["mode"], row["stream"]))
    return f"{median(row['runs'], 'rate') / ceiling:.2f}" if ceiling else "-"


def _stages(results: dict[str, Any]) -> Sheet:
    ours = [row for row in results["rows"] if f"{STAGES[0]}_us" in row["runs"][0]]
    shown = [
        [
            *(row["title"], row["mode"], row["stream"], f"{median(row['runs'], 'batch_records'):,.0f}"),
            *(f"{median(row['runs'], f'{stage}_us'):.2f}" for stage in STAGES),
            f"{statistics.median(map(_rest_us, row['runs'])):.2f}",
        ]
        for row in ours
    ]
    columns = ("contender", "delivery", "events", "a batch", *STAGES, "poll and rest")
    return Sheet("Wall time of the stages, µs an event", columns, shown, labels=3)


def _rest_us(run: dict[str, float]) -> float:
    """What of an event's wall time is in no stage: consuming above all."""
    return 1e6 / run["rate"] - sum(run[f"{stage}_us"] for stage in STAGES)


def _short(row: dict[str, Any]) -> str:
    return f"{row['mode']}{', traceparent' if 'traceparent' in row['stream'] else ''}"
