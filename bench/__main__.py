"""``make bench``: a table of throughput, CPU and memory; medians over interleaved rounds."""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.contenders import CONTENDERS, Run
from examples.flights.events import encoded
from examples.flights.flights import load
from examples.flights.pack import pack_flights
from examples.flights.replay import FlightEncoder, replay
from examples.flights.train import ModelKind
from worker.broker.apache import ApacheKafka
from worker.broker.topics import create_topics

# The naive loop is given fewer events: at its speed it would take minutes.
SHARE = {"naive loop": 0.05}
MODES = {"pass-through": ("exactly-once", "at-least-once"), "worker": ("exactly-once", "at-least-once")}


def measure(name: str, run: Run) -> dict[str, float]:
    """One run of a contender, in a process of its own."""
    command = [sys.executable, "-m", "bench.contenders", name, *run.arguments()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        sys.exit(f"{name} ({run.mode}) failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures | {"rate": run.events / figures["seconds"], "cpu_us": figures["cpu_seconds"] / run.events * 1e6}


def table(results: dict[tuple[str, str], list[dict[str, float]]]) -> Table:
    shown = Table(
        "contender", "delivery", "events/s", "of pass-through", "CPU µs/event", "peak MB", "range of events/s"
    )
    for (name, mode), runs in results.items():
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        ceiling = statistics.median(run["rate"] for run in results["pass-through", mode])
        rates = [run["rate"] for run in runs]
        shown.add_row(
            name,
            mode,
            f"{median['rate']:,.0f}",
            f"{median['rate'] / ceiling:.2f}",
            f"{median['cpu_us']:.1f}",
            f"{median['peak_mb']:.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}",
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=ModelKind, choices=list(ModelKind), default=ModelKind.LOGISTIC)
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    plan = [(name, mode) for name in CONTENDERS for mode in MODES.get(name, ("at-least-once",))]
    results: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in plan}
    console = Console()
    with tempfile.TemporaryDirectory() as folder, ApacheKafka() as kafka:
        bundle = Path(folder) / "bundle"
        pack_flights(bundle, arguments.model)
        create_topics(kafka.bootstrap, dict.fromkeys(("flights", "flights.predictions", "flights.dlq"), 6))
        records = itertools.islice(
            encoded(load(range(3, 13)), FlightEncoder(Path("schemas/flight.avsc"))), arguments.events
        )
        replay(kafka.bootstrap, "flights", records)
        runs = [(number, key) for number in range(arguments.rounds) for key in plan]
        for number, (name, mode) in track(runs, "measuring", console=console, transient=True):
            events = int(arguments.events * SHARE.get(name, 1))
            group = f"bench-{name}-{mode}-{number}".replace(" ", "-")
            results[name, mode].append(measure(name, Run(mode, kafka.bootstrap, "flights", events, group, bundle)))
    console.print(table(results))
    if arguments.json:
        figures: Any = {f"{name}, {mode}": runs for (name, mode), runs in results.items()}
        arguments.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
