"""Minutes at full load: does memory grow, does the rate hold?

The same events are produced over and over, as fast as they are answered and no faster, so there is always a backlog
and the disk does not fill.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.events import STANDARD
from bench.figures import slope
from bench.grounds import AT_LEAST_ONCE, EXACTLY_ONCE, PARTITIONS, Grounds, Stream
from bench.models import Model
from bench.processes import Contender
from bench.producing import BLOCK_EVENTS, flush, pairs, produce_block, producer
from bench.screen import Sheet
from bench.svg import line_chart

BACKLOG_EVENTS = 600_000
BLOCKS = 5
MEGABYTE = 2**20
# A backlog takes about 30 MB a partition; what was answered is deleted.
KEPT = {
    "retention.bytes": str(64 * MEGABYTE),
    "segment.bytes": str(16 * MEGABYTE),
    "file.delete.delay.ms": "1000",
}
MOST_WARM_UP_SECONDS = 120.0
# Of the samples, for the chart of the rate: each of them alone is mostly noise.
SMOOTHED_SAMPLES = 10


@dataclass(slots=True)
class Feeder:
    """Keeps ``BACKLOG_EVENTS`` ahead of what was answered; ``answered`` is set from outside."""

    bootstrap: str
    topic: str
    answered: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def feed(self) -> int:
        """Until ``stop``; the number of events. To be run in a thread of its own."""
        blocks = [pairs(STANDARD, k * BLOCK_EVENTS, BLOCK_EVENTS) for k in range(BLOCKS)]
        client, produced = producer(self.bootstrap), 0
        for block in itertools.cycle(blocks):
            while produced - self.answered > BACKLOG_EVENTS and not self.stop.is_set():
                time.sleep(0.02)
            if self.stop.is_set():
                break
            produce_block(client, self.topic, block, PARTITIONS)
            flush(client)
            produced += len(block)
        return produced


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", type=Model, choices=list(Model), default=Model.LOGISTIC)
    parser.add_argument("--mode", choices=(EXACTLY_ONCE, AT_LEAST_ONCE), default=EXACTLY_ONCE)


def measure(grounds: Grounds, options: argparse.Namespace) -> dict[str, Any]:
    topic = "soak"
    grounds.create(topic, PARTITIONS, KEPT)
    run = grounds.run("worker", options.mode, Stream(topic, STANDARD, 0), options.model)
    run = dataclasses.replace(run, events=10**15, seconds=60 * options.minutes, sample_seconds=1.0)
    feeder, samples = Feeder(run.bootstrap, topic), []
    with ThreadPoolExecutor(1) as threads, Contender(run) as contender:
        feeding = threads.submit(feeder.feed)
        try:
            with grounds.console.status("soaking") as status:
                for sample in contender.samples():
                    feeder.answered = int(sample["records"])
                    samples.append(sample)
                    status.update(f"{sample['seconds']:.0f} of {run.seconds:.0f} s, {sample['resident_mb']:.0f} MB")
            figures = contender.figures()
        finally:
            feeder.stop.set()
        feeding.result()
    return {"minutes": options.minutes, "model": options.model, "mode": options.mode} | _summary(samples, figures)


def sheets(results: dict[str, Any]) -> list[Sheet]:
    row = [
        f"{results['records']:,.0f}",
        f"{results['rate']:,.0f}",
        f"{results['rate_first_half']:,.0f}",
        f"{results['rate_second_half']:,.0f}",
        f"{results['resident_mb'][0]:.1f}",
        f"{results['resident_mb'][1]:.1f}",
        f"{results['slope_mb_per_minute']:+.3f}",
    ]
    columns = ("events", "events/s", "first half", "second half", "MB after warm-up", "MB at the end", "MB a minute")
    title = f"Soak: worker, {Model(results['model']).label}, {results['mode']}, {results['minutes']:g} minutes"
    return [Sheet(title, columns, [row], labels=0)]


def charts(results: dict[str, Any]) -> dict[str, str]:
    samples = results["samples"]
    memory = [(s["seconds"], s["resident_mb"]) for s in samples]
    coarse = samples[::SMOOTHED_SAMPLES]
    rates = [(b["seconds"], _rate(a, b)) for a, b in itertools.pairwise(coarse)] or [(0.0, results["rate"])]
    return {
        "soak-memory": line_chart("Soak: resident memory", "seconds", "MB", {"worker": memory}, marks=False),
        "soak-rate": line_chart("Soak: rate", "seconds", "events/s", {"worker": rates}, marks=False),
    }


def _summary(samples: list[dict[str, float]], figures: dict[str, float]) -> dict[str, Any]:
    warm_up = min(MOST_WARM_UP_SECONDS, samples[-1]["seconds"] / 5)
    warm = [sample for sample in samples if sample["seconds"] >= warm_up]
    middle = warm[len(warm) // 2]
    minutes = [sample["seconds"] / 60 for sample in warm]
    return {
        "warm_up_seconds": warm_up,
        "slope_mb_per_minute": slope(minutes, [sample["resident_mb"] for sample in warm]),
        "resident_mb": [warm[0]["resident_mb"], warm[-1]["resident_mb"]],
        "rate_first_half": _rate(warm[0], middle),
        "rate_second_half": _rate(middle, warm[-1]),
        "samples": samples,
        **figures,
    }


def _rate(a: dict[str, float], b: dict[str, float]) -> float:
    """Events a second between two samples."""
    return (b["records"] - a["records"]) / max(b["seconds"] - a["seconds"], 1e-9)
