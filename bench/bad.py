"""Batches in which every record is bad, family by family: through the pipeline alone, and through the worker on Kafka."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.contenders.run import Run
from bench.decode import best
from bench.events import STANDARD, draw, encode, keys
from bench.figures import median
from bench.grounds import EXACTLY_ONCE, PARTITIONS, Grounds, Stream
from bench.models import Model
from bench.processes import Figures, warm_up
from bench.processes import measure as measured
from bench.producing import BLOCK_EVENTS, Pair, flush, produce_block, producer
from bench.screen import Sheet, stepping
from worker import bootstrap
from worker.avro.framing import CONFLUENT_BYTES, SINGLE_OBJECT_BYTES
from worker.records import Record, RecordBatch

GOOD = "good"
FAMILIES = (
    *(GOOD, "unknown framing", "unknown schema", "truncated", "trailing byte", "bit flipped"),
    *("null refused", "out of range", "pattern"),
)
# Rules beside the standard event's own: the families that break them break no other.
RULES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "null refused": ("measure_0", {"nullPolicy": "refuse"}),
    "pattern": ("customer_1", {"pattern": "^[A-Z]"}),
}
BATCH_RECORDS = 5_000
SEED = 1


def schema(family: str) -> str:
    """The text of the ``.avsc`` that the worker reads with; on the wire all are the standard event."""
    text = json.loads(STANDARD.schema)
    name, rules = RULES.get(family, ("", {}))
    for field in text["fields"]:
        field.update(rules if field["name"] == name else {})
    return json.dumps(text)


def pairs(family: str, first: int, count: int) -> list[Pair]:
    """Keys and values of the events number ``first`` and so on, each refused for what its family does to it."""
    events = draw(STANDARD, first, count)
    matrix, chance = events.matrix.copy(), np.random.default_rng([SEED, first])
    if family == "out of range":
        matrix[:, 0] = 1e6
    if family == "null refused":
        matrix[:, STANDARD.plain] = np.nan
    values = encode(STANDARD, dataclasses.replace(events, matrix=matrix)).to_list()
    return [(key, _spoiled(family, value or b"", chance)) for key, value in zip(keys(events), values, strict=True)]


def _spoiled(family: str, value: bytes, chance: np.random.Generator) -> bytes:
    match family:
        case "unknown framing":
            return b"{" + value
        case "unknown schema":
            return bytes(CONFLUENT_BYTES - 1) + b"\x07" + value[SINGLE_OBJECT_BYTES:]
        case "truncated":
            return value[: chance.integers(SINGLE_OBJECT_BYTES + 1, len(value))]
        case "trailing byte":
            return value + b"\x00"
        case "bit flipped":
            # In the length of the id: wherever else, a flip may leave a sound record.
            return (
                value[:SINGLE_OBJECT_BYTES] + bytes([value[SINGLE_OBJECT_BYTES] ^ 1]) + value[1 + SINGLE_OBJECT_BYTES :]
            )
        case _:
            return value


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=100_000, help="in each stream")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each family in the pipeline")


def measure(grounds: Grounds, options: argparse.Namespace) -> dict[str, Any]:
    runs = {family: _run(grounds, family, options.events) for family in FAMILIES}
    pipeline = {family: _pipeline_us(family, run, options.seconds) for family, run in runs.items()}
    warm_up(runs[GOOD])
    found: dict[str, list[Figures]] = {family: [] for family in FAMILIES}
    steps = list(itertools.product(range(options.rounds), FAMILIES))
    for _, family in stepping(grounds.console, steps, lambda step: f"round {step[0] + 1}: {step[1]}"):
        found[family].append(measured(grounds.again(runs[family])))
    rows = [{"family": family, "pipeline_us": pipeline[family], "runs": found[family]} for family in FAMILIES]
    return {"events": options.events, "rounds": options.rounds, "batch_records": BATCH_RECORDS, "rows": rows}


def _run(grounds: Grounds, family: str, events: int) -> Run:
    stream = Stream(f"bad-{family.replace(' ', '-')}", STANDARD, events)
    grounds.create(stream.topic, PARTITIONS)
    client = producer(grounds.kafka.bootstrap)
    for first in range(0, events, BLOCK_EVENTS):
        block = pairs(family, first, min(BLOCK_EVENTS, events - first))
        produce_block(client, stream.topic, block, PARTITIONS)
        flush(client)
    path = grounds.folder / f"{stream.topic}.avsc"
    path.write_text(schema(family), encoding="utf-8")
    run = grounds.run("worker", EXACTLY_ONCE, stream, Model.LOGISTIC)
    return dataclasses.replace(run, schema=str(path), most_refused=0.1 if family == GOOD else 1.0)


def _pipeline_us(family: str, run: Run, seconds: float) -> float:
    """Microseconds an event, the best round. Raises SystemExit when the family is not what it should be."""
    pipeline = bootstrap.prepare(run.settings()).pipeline
    records = [Record(run.topic, i % PARTITIONS, i, 0, *pair) for i, pair in enumerate(pairs(family, 0, BATCH_RECORDS))]
    batch = RecordBatch.of(records)
    if len(pipeline.process(batch).refusals) != (0 if family == GOOD else len(batch)):
        raise SystemExit(f"error: not every record of the family {family} is what it should be")
    return best(partial(pipeline.process, batch), len(batch), seconds)


def sheets(results: dict[str, Any]) -> list[Sheet]:
    whole = {row["family"]: 1e6 / median(row["runs"], "rate") for row in results["rows"]}
    shown = [
        [
            row["family"],
            f"{row['pipeline_us']:.2f}",
            f"{row['pipeline_us'] / whole[GOOD]:.2f}",
            f"{whole[row['family']]:.1f}",
            f"{whole[row['family']] / whole[GOOD]:.2f}",
        ]
        for row in results["rows"]
    ]
    title = (
        f"Batches of one family, µs an event; ratios to a good event through the worker ({results['rounds']} rounds)"
    )
    return [Sheet(title, ("every record", "pipeline", "ratio", "worker", "ratio"), shown)]


def charts(results: dict[str, Any]) -> dict[str, str]:
    del results
    return {}
