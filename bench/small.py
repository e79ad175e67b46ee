"""``python -m bench.small``: one turn of the loop without Kafka, by batch size and stage.

The worker that ``prediction-worker run`` builds (logistic regression on 23 fields, its metrics, health and logs), between
a source that hands out the same batch again and again and a sink that forgets. Microseconds a batch, the best of many
turns: what the code costs, not what the machine was doing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.events import STANDARD, draw, encode, keys
from bench.models import Model, pack_model
from bench.screen import Sheet, show
from worker import __version__, bootstrap
from worker.clock import SystemClock
from worker.pipeline.batching import BatchSize
from worker.pipeline.limits import DeadLetterLimits
from worker.ports import BatchReport, Fetch, FetchLimit, Observer
from worker.records import Committable, OutgoingBatch, RecordBatch, Slices, TopicPartition
from worker.service import PredictionWorker
from worker.settings import Event, Kafka, Settings, Topics
from worker.settings import Model as ModelSettings
from worker.telemetry.health import ProcessHealth
from worker.telemetry.instruments import process_registry
from worker.telemetry.logging_observer import LoggingObserver
from worker.telemetry.metrics import Build, MetricsObserver
from worker.telemetry.observers import Observers

SIZES = (1, 2, 5, 20, 100, 1000, 5000)
PARTITIONS = 6
STAGES = ("decode", "validate", "predict", "encode", "count", "rest")
TOPIC, SKETCHES = "events", ".drift-sketches"
LEAST_TURNS = 10


class SameBatch:
    """Implements ``ports.RecordSource``: every poll brings ``batch``."""

    def __init__(self) -> None:
        self.batch: RecordBatch | None = None
        self._ours = frozenset(TopicPartition(TOPIC, partition) for partition in range(PARTITIONS))
        self._lag = dict.fromkeys(sorted(self._ours), 0)

    def poll(self, limit: FetchLimit) -> Fetch:
        del limit
        return Fetch(self.batch)

    def rewind(self, batch: RecordBatch) -> None: ...

    def lag(self) -> Mapping[TopicPartition, int]:
        return self._lag

    def partitions(self) -> frozenset[TopicPartition]:
        return self._ours

    def close(self) -> None: ...


class Forgetful:
    """Implements ``ports.RecordSink``. ``sizes``: bytes of the last delivery's keys and values, by topic."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        del committable
        self.sizes = {batch.topic: batch.keys.size_bytes + batch.values.size_bytes for batch in outgoing}

    def settle(self) -> None: ...

    def close(self) -> None: ...


class Last(ProcessHealth):
    """Health, and the last report."""

    report: BatchReport | None = None

    def delivered(self, report: BatchReport) -> None:
        self.report = report


def batch_of(count: int) -> RecordBatch:
    events = draw(STANDARD, 0, count)
    return RecordBatch(
        topic=TOPIC,
        partition=np.arange(count, dtype=np.int64) % PARTITIONS,
        offset=np.arange(count, dtype=np.int64),
        timestamp_ms=np.full(count, time.time_ns() // 1_000_000, np.int64),
        keys=Slices.of(keys(events)),
        values=Slices.of(encode(STANDARD, events).to_list()),
    )


def sketch_share(sizes: Mapping[str, int]) -> float:
    """Of what is put out, the part that the drift sketch is."""
    return sum(size for topic, size in sizes.items() if topic.endswith(SKETCHES)) / sum(sizes.values())


def loop(folder: Path, *, counted: bool = False) -> tuple[PredictionWorker, SameBatch, Last]:
    """A worker, its source and its last report; ``folder`` holds schema and bundle afterwards."""
    (folder / "event.avsc").write_text(STANDARD.schema, encoding="utf-8")
    pack_model(STANDARD, Model.LOGISTIC, folder / "bundle", counted=counted)
    settings = Settings(
        kafka=Kafka(bootstrap="nowhere", group="small"),
        topics=Topics(input=TOPIC),
        event=Event.model_validate({"schema": folder / "event.avsc", "id": "id", "time": "at"}),
        model=ModelSettings(bundle=folder / "bundle"),
    )
    clock, source, prepared = SystemClock(), SameBatch(), bootstrap.prepare(settings)
    build = Build(__version__, prepared.served_by.name, prepared.served_by.version, settings.delivery.mode)
    last = Last(clock)
    observers: list[Observer] = [
        last,
        MetricsObserver(process_registry(), build, unix_time=time.time),
        LoggingObserver(clock),
    ]
    worker = PredictionWorker(
        source=source,
        pipeline=prepared.pipeline,
        sink=Forgetful(),
        limits=DeadLetterLimits(prepared.limits),
        batch_size=BatchSize(prepared.batching),
        observer=Observers(observers),
        clock=clock,
    )
    return worker, source, last


def turn(worker: PredictionWorker, last: Last) -> list[float]:
    """Seconds of each of ``STAGES`` and of the whole turn."""
    started = time.perf_counter()
    worker.run_once()
    whole = time.perf_counter() - started
    report = last.report
    assert report is not None
    stages = [report.decode_seconds, report.validate_seconds, report.predict_seconds]
    stages += [report.encode_seconds, report.count_seconds]
    return [*stages, whole - sum(stages), whole]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each batch size")
    parser.add_argument("--pause-ms", type=float, default=0, help="sleep between turns: caches and processor cool down")
    parser.add_argument("--count", action="store_true", help="count all fields for drift")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        worker, source, last = loop(Path(folder), counted=arguments.count)
        for count in SIZES:
            source.batch = batch_of(count)
            turns: list[list[float]] = []
            until = time.perf_counter() + arguments.seconds
            while len(turns) < LEAST_TURNS or time.perf_counter() < until:
                time.sleep(arguments.pause_ms / 1000)
                turns.append(turn(worker, last))
            best, usual = 1e6 * np.min(turns, axis=0), 1e6 * np.median(turns, axis=0)
            rows.append([str(count), *[f"{f:.0f}" for f in (*best, usual[-1])], f"{best[-1] / count:.2f}"])
            if arguments.count:
                assert isinstance(worker.sink, Forgetful)
                rows[-1].append(f"{100 * sketch_share(worker.sink.sizes):.1f} %")
    columns = ["records", *STAGES, "batch", "its median", "an event"]
    if arguments.count:
        columns.append("sketch, of bytes out")
    show(Console(), Sheet("Microseconds a batch, best of all turns", columns, rows))


if __name__ == "__main__":
    main()
