"""Which id and which time a prediction carries."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.support.columns import column_of
from worker.avro.schema import RecordSchema, parse_schema
from worker.columns import Columns
from worker.pipeline.identity import Identity
from worker.records import Record, RecordBatch

BATCH = RecordBatch.of([Record("t", p, 5, 1_000 + p, None, b"v") for p in range(3)])
ROWS = np.array([0, 2])


def schema(**fields: Any) -> RecordSchema:
    members = [{"name": name, "type": declared} for name, declared in fields.items()]
    return parse_schema(json.dumps({"type": "record", "name": "R", "fields": members}))


def columns(of: RecordSchema, values: list[Any]) -> Columns:
    return Columns({of.fields[0].name: column_of(of.fields[0], [{of.fields[0].name: v} for v in values])}, len(values))


def logical(name: str, base: str = "long") -> dict[str, str]:
    return {"type": base, "logicalType": name}


def test_defaults() -> None:
    """Without names: topic-partition-offset, and Kafka's timestamp."""
    identity = Identity.of(schema(x="int"), None, None)
    assert identity.ids(BATCH, Columns({}, 2), ROWS).to_list() == [b"t-0-5", b"t-2-5"]
    assert identity.times_ms(BATCH, Columns({}, 2), ROWS).tolist() == [1_000, 1_002]


@pytest.mark.parametrize(("declared", "values"), [("string", ["a", "b"]), ("int", [1, 2]), ("long", [2**40, -1])])
def test_id_field(declared: str, values: list[Any]) -> None:
    """Strings and whole numbers can be ids."""
    of = schema(x=declared)
    assert Identity.of(of, "x", None).ids(BATCH, columns(of, values), ROWS).to_list() == [
        str(v).encode() for v in values
    ]


@pytest.mark.parametrize("declared", ["double", "bytes", ["null", "string"]])
def test_no_id(declared: Any) -> None:
    """Anything else can't, nor can a field that there is not."""
    for name in ("x", "y"):
        (problem,) = Identity.problems(schema(x=declared), name, None)
        assert problem.startswith(f"event.id names {name}: ")


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("long", 1_500),
        (logical("timestamp-millis"), 1_500),
        (logical("local-timestamp-millis"), 1_500),
        (logical("timestamp-micros"), 1_500_999),
        (logical("local-timestamp-micros"), 1_500_000),
    ],
)
def test_time_field(declared: Any, value: int) -> None:
    """Times are in milliseconds whatever unit they came in; a bare long is milliseconds."""
    of = schema(x=declared)
    assert Identity.of(of, None, "x").times_ms(BATCH, columns(of, [value, value]), ROWS).tolist() == [1_500, 1_500]


def test_time_before_1970() -> None:
    """Microseconds before 1970 are rounded towards the past, like those after it."""
    of = schema(x=logical("timestamp-micros"))
    assert Identity.of(of, None, "x").times_ms(BATCH, columns(of, [-1, -1_000]), ROWS).tolist() == [-1, -1]


@pytest.mark.parametrize("declared", ["string", "int", ["null", "long"], logical("date", "int")])
def test_no_time(declared: Any) -> None:
    """What is no timestamp can't be the event's time."""
    for name in ("x", "y"):
        (problem,) = Identity.problems(schema(x=declared), None, name)
        assert problem.startswith(f"event.time names {name}: ")


def test_no_problem() -> None:
    """What fits is no problem; two that don't are told at once."""
    of = schema(x="string", t=logical("timestamp-millis"))
    assert Identity.problems(of, "x", "t") == []
    assert Identity.problems(of, None, None) == []
    assert len(Identity.problems(of, "t2", "x")) == 2


@pytest.mark.parametrize("name", ["timestamp-nanos", "time-micros"])
def test_other_units(name: str) -> None:
    """A logical type that is no timestamp in milli- or microseconds is refused, not taken for milliseconds."""
    assert Identity.problems(schema(x=logical(name)), None, "x")
