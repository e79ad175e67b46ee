"""From produced to visible: how long until a reader of committed records sees the prediction.

Producer and reader are threads of this process, so one clock times both. The events come evenly in time, whatever the
contender makes of them (open loop), one to each partition in turn.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.events import STANDARD, numbers_of
from bench.figures import median
from bench.grounds import AT_LEAST_ONCE, EXACTLY_ONCE, PARTITIONS, Grounds, Stream
from bench.models import Model
from bench.processes import Contender
from bench.producing import Pair, flush, pairs, produce_block, producer
from bench.screen import Sheet, stepping
from bench.svg import bar_chart
from worker.records import FloatArray

START_SECONDS = 60.0
END_SECONDS = 30.0
POLL_SECONDS = 0.1
READ_AT_MOST = 10_000
MOST_LATE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    contender: str
    mode: str
    rate: int

    @property
    def title(self) -> str:
        return f"{self.contender}, {self.mode}, {self.rate:,}/s"


@dataclass(slots=True)
class Arrivals:
    """When each event's answer was first seen, by the event's number; NaN: not yet. float64 (n,), in seconds."""

    at: FloatArray
    missing: int
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, bootstrap: str, topic: str) -> None:
        """Until ``stop``; to be run in a thread of its own."""
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        while not self.stop.is_set():
            first = consumer.poll(POLL_SECONDS)
            if first is None:
                continue
            now = time.perf_counter()
            self._note([first], now)
            # With a time-out, ``consume`` would wait in slices of 200 ms.
            self._note(consumer.consume(READ_AT_MOST, 0), now)
        consumer.close()

    def _note(self, messages: list[Any], now: float) -> None:
        for number in numbers_of([message.value() for message in messages if message.error() is None]):
            if np.isnan(self.at[number]):
                self.at[number] = now
                self.missing -= 1


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rates", type=int, nargs="+", default=[500, 5_000], help="events a second")
    parser.add_argument("--seconds", type=float, default=30, help="measured in each run")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds before that")
    parser.add_argument("--rounds", type=int, default=3)


def measure(grounds: Grounds, options: argparse.Namespace) -> dict[str, Any]:
    plan = [
        Row(name, mode, rate)
        for rate, mode, name in itertools.product(
            options.rates, (EXACTLY_ONCE, AT_LEAST_ONCE), ("pass-through", "own edge", "worker")
        )
    ]
    runs: dict[Row, list[dict[str, float]]] = {row: [] for row in plan}
    order = [row for _ in range(options.rounds) for row in plan]
    for row in stepping(grounds.console, order, lambda row: row.title):
        runs[row].append(_one(grounds, row, options.warm_up, options.seconds))
    rows = [{"contender": row.contender, "mode": row.mode, "rate": row.rate, "runs": runs[row]} for row in plan]
    return {"rounds": options.rounds, "seconds": options.seconds, "rows": rows}


def sheets(results: dict[str, Any]) -> list[Sheet]:
    shown = [
        [
            *(row["contender"], row["mode"], f"{row['rate']:,}"),
            *(f"{median(row['runs'], name):.2f}" for name in ("p50_ms", "p99_ms", "most_ms")),
            f"{min(run['p99_ms'] for run in row['runs']):.1f}-{max(run['p99_ms'] for run in row['runs']):.1f}",
            f"{median(row['runs'], 'batch_records'):,.1f}",
        ]
        for row in results["rows"]
    ]
    title = f"Produced to visible: medians of {results['rounds']} runs of {results['seconds']:.0f} s"
    columns = ("contender", "delivery", "events/s", "p50 ms", "p99 ms", "most ms", "range of p99", "a batch")
    return [Sheet(title, columns, shown, labels=2)]


def charts(results: dict[str, Any]) -> dict[str, str]:
    bars = [
        (
            f"{row['contender']} ({row['mode']}, {row['rate']:,}/s)",
            median(row["runs"], "p99_ms"),
            median(row["runs"], "p50_ms"),
            median(row["runs"], "p99_ms"),
        )
        for row in results["rows"]
    ]
    return {"latency": bar_chart("Produced to visible, milliseconds (bar: p99; line: from p50 to p99)", bars)}


def _one(grounds: Grounds, row: Row, warm_up: float, seconds: float) -> dict[str, float]:
    first_measured = 1 + int(row.rate * warm_up)
    total = first_measured + int(row.rate * seconds)
    topic = f"latency-{time.monotonic_ns()}"
    grounds.create(topic, PARTITIONS)
    events = pairs(STANDARD, 0, total)
    arrivals = Arrivals(np.full(total, np.nan), total)
    run = grounds.run(row.contender, row.mode, Stream(topic, STANDARD, total), Model.LOGISTIC)
    with ThreadPoolExecutor(1) as threads, Contender(run) as contender:
        reading = threads.submit(arrivals.read, run.bootstrap, run.settings().topics.predictions)
        try:
            client = producer(run.bootstrap, **{"linger.ms": 0})
            _produce_first(client, topic, events[0], arrivals, contender)
            sent = _produce(client, topic, events, row.rate)
            _await(lambda: arrivals.missing == 0 or reading.done(), END_SECONDS, contender, "left events unanswered")
            figures = contender.figures()
        finally:
            arrivals.stop.set()
        reading.result()
    latency = 1e3 * (arrivals.at - sent)[first_measured:]
    p50, p99, most = np.percentile(latency, (50, 99, 100)).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "most_ms": most, "batch_records": figures["batch_records"]}


def _produce_first(client: Producer, topic: str, event: Pair, arrivals: Arrivals, contender: Contender) -> None:
    """One alone, until it is answered: then the contender has started."""
    produce_block(client, topic, [event], 1)
    flush(client)
    _await(
        lambda: not np.isnan(arrivals.at[0]) or not contender.running, START_SECONDS, contender, "did not start in time"
    )
    if np.isnan(arrivals.at[0]):
        contender.fail("did not answer a first event")


def _produce(client: Producer, topic: str, events: list[Pair], rate: int) -> FloatArray:
    """All but the first, evenly at the rate. When each was sent, float64 (n,)."""
    sent = np.full(len(events), np.nan)
    begun = time.perf_counter()
    for number in range(1, len(events)):
        early = begun + number / rate - time.perf_counter()
        if early > 0:
            time.sleep(early)
        sent[number] = time.perf_counter()
        key, value = events[number]
        client.produce(topic, value, key, number % PARTITIONS)
        client.poll(0)
    flush(client)
    late = sent[-1] - begun - len(events) / rate
    if late > MOST_LATE_SECONDS:
        sys.exit(f"error: the producer could not keep up with {rate:,} events a second: {late:.1f} s behind")
    return sent


def _await(reached: Callable[[], bool], seconds: float, contender: Contender, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            contender.fail(otherwise)
        time.sleep(0.01)
