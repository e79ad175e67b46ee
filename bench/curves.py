"""What an event costs as one thing grows: the batch, the event, the number of partitions, the stream.

The worker with logistic regression, and pass-through beside it, both exactly once; interleaved rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from bench.contenders.run import Run
from bench.events import Shape
from bench.figures import median, spread
from bench.grounds import EXACTLY_ONCE, Grounds, Stream
from bench.models import Model
from bench.processes import measure as measured
from bench.processes import warm_up
from bench.screen import Sheet, stepping
from bench.svg import line_chart

CONTENDERS = ("pass-through", "own edge", "worker")
BATCHES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 20_000)
FIELDS = (5, 10, 23, 50, 100, 200)
PARTITIONS = (1, 3, 6, 12, 24, 48)
# Of the longest stream; by default 100 thousand to 3 million.
SHARES = (1 / 30, 1 / 10, 1 / 3, 1.0)
LEAST_BATCHES = 500
# Out of the way of the batch curve: only ``max_batch_records`` is to decide.
NO_LATENCY_TARGET_MS = 60_000
TITLES = {
    "batch": "most records in a batch",
    "fields": "fields of the event",
    "partitions": "partitions",
    "events": "events in the stream",
}
Make = Callable[[str], Run]
Point = tuple[int, Make]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=300_000, help="a run, but for the curve over events")
    parser.add_argument("--most-events", type=int, default=3_000_000, help="the end of the curve over events")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(TITLES), default=list(TITLES), help="these curves")


def measure(grounds: Grounds, options: argparse.Namespace) -> dict[str, Any]:
    points: dict[str, Callable[[Grounds, int], Iterator[Point]]] = {
        "batch": _batches,
        "fields": _fields,
        "partitions": _partitions,
        "events": _events,
    }
    curves = {}
    for name in options.only:
        events = options.most_events if name == "events" else options.events
        curves[name] = _curve(grounds, name, list(points[name](grounds, events)), options.rounds)
    return {"rounds": options.rounds, "events": options.events, "curves": curves}


def sheets(results: dict[str, Any]) -> list[Sheet]:
    return [_sheet(name, curve, results["rounds"]) for name, curve in results["curves"].items()]


def charts(results: dict[str, Any]) -> dict[str, str]:
    drawn = {}
    for name, curve in results["curves"].items():
        series = {
            contender: [(p["x"], 1e6 / median(p["runs"], "rate")) for p in curve if p["contender"] == contender]
            for contender in CONTENDERS
        }
        title = f"Cost of an event by {TITLES[name]}"
        drawn[f"curve-{name}"] = line_chart(title, TITLES[name], "µs an event", series, log=True)
    return drawn


def _curve(grounds: Grounds, name: str, points: list[Point], rounds: int) -> list[dict[str, Any]]:
    measurements: dict[tuple[int, str], list[dict[str, float]]] = {
        (x, contender): [] for x, _ in points for contender in CONTENDERS
    }
    order = [(x, make, contender) for _ in range(rounds) for x, make in points for contender in CONTENDERS]
    warm_up(points[-1][1](CONTENDERS[0]))
    for x, make, contender in stepping(grounds.console, order, lambda step: f"{TITLES[name]} {step[0]:,}: {step[2]}"):
        measurements[x, contender].append(measured(make(contender)))
    return [{"x": x, "contender": contender, "runs": runs} for (x, contender), runs in measurements.items()]


def _maker(grounds: Grounds, stream: Stream, events: int, **changes: Any) -> Make:
    """Runs over the first ``events`` of the stream, each in a group of its own."""

    def make(contender: str) -> Run:
        run = grounds.run(contender, EXACTLY_ONCE, stream, Model.LOGISTIC, events=events)
        return dataclasses.replace(run, **changes)

    return make


def _batches(grounds: Grounds, events: int) -> Iterator[Point]:
    """Small batches get fewer events: a transaction each would take minutes."""
    stream = grounds.stream(events)
    for size in BATCHES:
        changes = {"max_batch_records": size, "latency_target_ms": NO_LATENCY_TARGET_MS}
        yield size, _maker(grounds, stream, min(events, size * LEAST_BATCHES), **changes)


def _fields(grounds: Grounds, events: int) -> Iterator[Point]:
    for fields in FIELDS:
        stream = grounds.stream(events, shape=Shape.of(fields))
        yield fields, _maker(grounds, stream, events)


def _partitions(grounds: Grounds, events: int) -> Iterator[Point]:
    for partitions in PARTITIONS:
        stream = grounds.stream(events, partitions=partitions)
        yield partitions, _maker(grounds, stream, events)


def _events(grounds: Grounds, events: int) -> Iterator[Point]:
    stream = grounds.stream(events)
    for count in (round(events * share) for share in SHARES):
        yield count, _maker(grounds, stream, count)


def _sheet(name: str, curve: list[dict[str, Any]], rounds: int) -> Sheet:
    shown = [
        [
            point["contender"],
            f"{point['x']:,}",
            f"{1e6 / median(point['runs'], 'rate'):.2f}",
            f"{median(point['runs'], 'cpu_us'):.2f}",
            f"{median(point['runs'], 'rate'):,.0f}",
            spread(point["runs"], "rate"),
            f"{median(point['runs'], 'batch_records'):,.0f}",
            f"{median(point['runs'], 'peak_mb'):.0f}",
        ]
        for point in sorted(curve, key=lambda point: (point["contender"], point["x"]))
    ]
    columns = ("µs/event", "CPU µs/event", "events/s", "quartiles", "a batch", "peak MB")
    return Sheet(f"By {TITLES[name]}: medians of {rounds} rounds", ("contender", TITLES[name], *columns), shown)
