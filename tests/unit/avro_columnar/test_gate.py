"""The gate: which writer schemas may reach a reader, decided quickly whatever their text."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.avro_columnar.rig import record
from worker.avro.gate import gate_writer
from worker.avro.lockstep import ColumnReader
from worker.avro.nodes import Array, Map, Primitive, Union
from worker.avro.schema import MAX_DEPTH, MAX_FIELDS, SchemaRefused, parse_schema

FLIGHT = Path("schemas/flight.avsc").read_text(encoding="utf-8")


def nested(depth: int) -> str:
    """Records in records, written without recursion."""
    opening = "".join(f'{{"type":"record","name":"R{i}","fields":[{{"name":"a","type":' for i in range(depth))
    return opening + '"int"' + "}]}" * depth


def refused(text: str | dict[str, Any]) -> str:
    started = time.thread_time()
    with pytest.raises(SchemaRefused) as caught:
        gate_writer(text if isinstance(text, str) else json.dumps(text))
    assert time.thread_time() - started < 0.5
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_the_flight_schema_passes() -> None:
    """A schema that today's gate takes has the same name and fingerprint in this one."""
    gated, parsed = gate_writer(FLIGHT), parse_schema(FLIGHT)
    assert (gated.name, gated.fingerprint) == (parsed.name, parsed.fingerprint)


def test_a_type_in_a_type() -> None:
    """A type that is only wrapped in another object is that type; an unknown logical type says nothing."""
    wrapped = {"type": {"type": "array", "items": {"type": "long", "logicalType": "unheard-of"}}}
    (member,) = gate_writer(json.dumps(record({"name": "a", **wrapped}))).root.members
    assert member.type == Array(Primitive("long"))


def test_fields_that_no_column_can_hold_pass() -> None:
    """A writer may hold arrays, maps, general unions and nullable records: they are skipped."""
    schema = record(
        ("a", {"type": "array", "items": record(("b", "int"), name="B")}),
        ("m", {"type": "map", "values": ["null", "B"]}),
        ("u", ["null", "string", "B"]),
    )
    types = [type(member.type) for member in gate_writer(json.dumps(schema)).root.members]
    assert types == [Array, Map, Union]


@pytest.mark.parametrize(
    "schema",
    [
        record(("a", ["null", "Event"])),
        record(("a", {"type": "array", "items": "Event"})),
        record(("a", {"type": "map", "values": ["null", "Event"]})),
        record(("b", record(("a", ["null", "Event"]), name="B"))),
        record(("b", record(("a", ["null", "x.Event"]), name="B")), namespace="x"),
    ],
)
def test_recursion(schema: dict[str, Any]) -> None:
    """27: a schema that contains itself, however far down, is refused before anything else sees it."""
    assert "contains itself" in refused(schema)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 1_000, 20_000])
def test_depth(depth: int) -> None:
    """28: deep nesting is refused in no time."""
    refused(nested(depth))
    refused('{"type":"record","name":"A","fields":[{"name":"a","type":' + '{"type":"array","items":' * depth)


def test_depth_within_the_limit() -> None:
    """28: nesting up to the limit passes."""
    assert gate_writer(nested(MAX_DEPTH)).name == "R0"


def test_depth_through_names() -> None:
    """28: a short text that refers to deeper and deeper definitions is measured as it unfolds."""
    fields: list[tuple[str, Any]] = [("l0", record(("x", "int"), name="L0"))]
    fields += [(f"l{i}", record(("x", f"L{i - 1}"), name=f"L{i}")) for i in range(1, 40)]
    assert "deeper" in refused(record(*fields))


def test_unfolding() -> None:
    """28: thirty records that each hold the one before twice are refused, although their text is short."""
    fields: list[tuple[str, Any]] = [("l0", record(("x", "int"), name="L0"))]
    fields += [(f"l{i}", record(("x", f"L{i - 1}"), ("y", f"L{i - 1}"), name=f"L{i}")) for i in range(1, 28)]
    assert "unfolds" in refused(record(*fields))


def test_size() -> None:
    """28: 10,000 fields and 10 MB of text are refused; as many nullable fields as are allowed pass."""
    assert "fields" in refused(record(*[(f"f{i}", "int") for i in range(10_000)]))
    assert "longer" in refused(record({"name": "a", "type": "int", "doc": "x" * 10_000_000}))
    allowed = record(*[(f"f{i}", ["null", "double"]) for i in range(MAX_FIELDS)])
    assert len(gate_writer(json.dumps(allowed)).root.members) == MAX_FIELDS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[1]",
        '"int"',
        '{"type":"record","name":"A"}',
        '{"type":"record","fields":[]}',
        '{"type":"record","name":"A","fields":[{"name":"a"}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":"nothing"}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":[]}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":["int","int"]}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":["int",["null"]]}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":-1}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":1e9}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":[]}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"enum","name":"A","symbols":["x"]}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":["x"],"default":"y"}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal"}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a","aliases":"b","type":"int"}]}',
        '{"type":"record","name":"A\\ud800","fields":[]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":0}}]}',
        '{"type":"record","name":"A","fields":[{"name":"a.b","type":"int"}]}',
        '{"type":"record","name":"A","namespace":5,"fields":[]}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":"int","default":' + "9" * 5_000 + "}]}",
    ],
)
def test_malformed(text: str) -> None:
    """A malformed schema is refused with a reason, and by nothing but SchemaRefused."""
    refused(text)


_WORDS = st.sampled_from(
    [
        "record",
        "array",
        "map",
        "enum",
        "fixed",
        "int",
        "null",
        "string",
        "bytes",
        "A",
        "B",
        "decimal",
        "uuid",
        "x.A",
        "",
    ]
)
_KEYS = st.sampled_from(
    [
        "type",
        "name",
        "fields",
        "items",
        "values",
        "symbols",
        "size",
        "default",
        "aliases",
        "namespace",
        "logicalType",
        "precision",
        "scale",
    ]
)
_JSON = st.recursive(
    st.one_of(_WORDS, st.none(), st.booleans(), st.integers(-2, 100), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=6)),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({"name": _WORDS, "type": _JSON}, optional={"default": _JSON}), max_size=3))
def test_any_json(fields: list[Any]) -> None:
    """Whatever the JSON, the gate answers with a schema or with SchemaRefused, and the schema reads or refuses bytes."""
    try:
        writer = gate_writer(json.dumps({"type": "record", "name": "Root", "fields": fields}))
        reader = ColumnReader(writer, writer)
    except SchemaRefused:
        return
    body = np.array([0]), np.array([3])
    assert (
        reader.read_in_lockstep(b"\x02\x00\x00", *body).refusals
        == reader.read_by_record(b"\x02\x00\x00", *body).refusals
    )
