"""``python -m bench.decode``: decoding 23 fields, in lockstep, record by record, and with fastavro beside.

Three strings, two short ones of few values, fourteen doubles of which seven are nullable, three ints, a timestamp.
Microseconds an event, the best of several rounds: what the code costs, not what the machine was doing.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import fastavro
from rich.console import Console
from rich.table import Table

from worker.avro.gate import gate_writer
from worker.avro.lockstep import ColumnReader
from worker.records import Slices

SIZES = (1, 3, 10, 30, 100, 1000, 5000, 20000)
_NULLABLE = ["null", "double"]
FIELDS: list[tuple[str, Any]] = [
    ("id", "string"),
    ("at", {"type": "long", "logicalType": "timestamp-millis"}),
    ("carrier", "string"),
    ("origin", "string"),
    ("customer", "string"),
    ("place", "string"),
    *[(f"double_{i}", "double") for i in range(7)],
    *[(f"int_{i}", "int") for i in range(3)],
    *[(f"nullable_{i}", _NULLABLE) for i in range(7)],
]
SCHEMA = json.dumps(
    {"type": "record", "name": "Event", "fields": [{"name": name, "type": kind} for name, kind in FIELDS]}
)


def event(chance: random.Random, null_share: float) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": f"UA-{chance.randrange(9999):04}-EWR-2013-01-01T10:00:00Z",
        "at": 1_357_000_000_000 + chance.randrange(10**10),
        "carrier": chance.choice(["UA", "DL", "AA"]),
        "origin": chance.choice(["EWR", "JFK", "LGA"]),
        "customer": f"customer-{chance.randrange(10**6)}",
        "place": chance.choice(["Boston", "Ann Arbor", "San Francisco"]),
    }
    values |= {f"double_{i}": chance.random() for i in range(7)}
    values |= {f"int_{i}": chance.randrange(60) for i in range(3)}
    values |= {f"nullable_{i}": None if chance.random() < null_share else chance.random() for i in range(7)}
    return values


def bodies(count: int, null_share: float) -> list[bytes]:
    chance, parsed = random.Random(1), fastavro.parse_schema(json.loads(SCHEMA))
    written = []
    for _ in range(count):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, event(chance, null_share))
        written.append(body.getvalue())
    return written


def with_fastavro(parsed: Any, written: list[bytes]) -> list[Any]:
    return [fastavro.schemaless_reader(io.BytesIO(body), parsed, None) for body in written]


def best(run: Callable[[], Any], count: int, budget_seconds: float) -> float:
    """Microseconds an event, the best round of those that fit the budget (three at least)."""
    run()
    rounds: list[float] = []
    until = time.perf_counter() + budget_seconds
    while len(rounds) < 3 or time.perf_counter() < until:
        started = time.perf_counter()
        run()
        rounds.append(time.perf_counter() - started)
    return min(rounds) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nulls", type=float, default=0.05, help="share of null among the nullable")
    parser.add_argument("--seconds", type=float, default=0.3, help="time for each figure")
    arguments = parser.parse_args()
    writer, parsed = gate_writer(SCHEMA), fastavro.parse_schema(json.loads(SCHEMA))
    reader = ColumnReader(writer, writer)
    shown = Table("records", "lockstep µs/event", "by record µs/event", "fastavro µs/event")
    for count in SIZES:
        written = bodies(count, arguments.nulls)
        batch = Slices.of(written)
        place = (batch.buffer, batch.start, batch.end)
        runs: list[Callable[[], Any]] = [
            partial(reader.read_in_lockstep, *place),
            partial(reader.read_by_record, *place),
            partial(with_fastavro, parsed, written),
        ]
        shown.add_row(str(count), *[f"{best(run, count, arguments.seconds):.3f}" for run in runs])
    Console().print(shown)


if __name__ == "__main__":
    main()
