"""The schema gate: what may reach a decoder."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from tests.unit.avro.samples import field, record_schema, schema_of
from worker.avro.schema import MAX_DEPTH, MAX_FIELDS, MAX_TEXT_BYTES, Field, Kind, SchemaRefused, parse_schema

VECTOR = {"type": "array", "items": "double"}
ENUM = {"type": "enum", "name": "E", "symbols": ["a", "b"]}


def nested(depth: int) -> dict[str, Any]:
    declared: Any = "int"
    for level in range(depth - 1, 0, -1):
        declared = {"type": "record", "name": f"L{level}", "fields": [field("x", declared)]}
    return {"type": "record", "name": "L0", "fields": [field("x", declared)]}


def test_leaves() -> None:
    """Every supported type becomes a column; nested fields have dotted names."""
    schema = schema_of(
        field("a", "boolean"),
        field("b", ["null", "int"]),
        field("c", [{"type": "long", "logicalType": "timestamp-millis"}, "null"]),
        field("d", ENUM),
        field("e", {"type": "fixed", "name": "F", "size": 4}),
        field("f", {"type": "record", "name": "N", "fields": [field("g", "string"), field("h", ["double"])]}),
        field("i", "E"),
        namespace="ns",
    )
    assert schema.name == "ns.R"
    assert schema.fields == (
        Field("a", Kind.BOOLEAN),
        Field("b", Kind.INT, nullable=True),
        Field("c", Kind.LONG, nullable=True, logical="timestamp-millis"),
        Field("d", Kind.ENUM, symbols=("a", "b")),
        Field("e", Kind.FIXED),
        Field("f.g", Kind.STRING),
        Field("f.h", Kind.DOUBLE),
        Field("i", Kind.ENUM, symbols=("a", "b")),
    )
    assert schema.field("f.g") == Field("f.g", Kind.STRING)
    assert schema.field("f") is None


def test_fingerprint() -> None:
    """The fingerprint is CRC-64-AVRO of the canonical form: documentation and constraints don't change it."""
    plain = schema_of(field("x", "int"))
    canonical = to_parsing_canonical_form(json.loads(plain.text))
    assert plain.fingerprint == bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
    assert schema_of(field("x", "int", doc="d", minimum=3)).fingerprint == plain.fingerprint
    assert schema_of(field("x", "long")).fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({"type": "array", "items": "boolean"}, "of arrays, only those of int, long, float, double"),
        ({"type": "array", "items": ["null", "int"]}, "of arrays, only those of"),
        ({"type": "array", "items": {"type": "array", "items": "int"}}, "of arrays, only those of"),
        ({"type": "array", "items": {"type": "int", "logicalType": "date"}}, "of arrays, only those of"),
        ({"type": "map", "values": "int"}, "map is not supported"),
        (["null", "int", "string"], "of unions"),
        (["int", "string"], "of unions"),
        (["null"], "of unions"),
        (["null", "null"], "the same type twice"),
        ([["null", "int"], "null"], "directly in a union"),
        ({"type": {"type": "int"}}, "malformed"),
        ("null", "null is not supported"),
        ("Unknown", "nor defined before its use"),
        (None, "must be a name, a list or an object"),
        (5, "must be a name, a list or an object"),
        (["null", {"type": "record", "name": "N", "fields": []}], "nullable record"),
        ({"type": "record", "name": "N"}, "no list of fields"),
        ({"type": "record", "name": "N", "fields": [5]}, "field without a proper name"),
        ({"type": "record", "name": "N", "fields": [{"type": "int"}]}, "field without a proper name"),
        ({"type": "enum", "name": "E"}, "needs symbols"),
    ],
)
def test_refused_types(declared: Any, complaint: str) -> None:
    """What can't become a column, or could fill the memory, is refused by name."""
    with pytest.raises(SchemaRefused, match=complaint):
        schema_of(field("x", declared))


@pytest.mark.parametrize("text", ["", "{", "5", "null", "[]", '"int"', '{"type": "enum"}', "[" * 100_000, "\ud800"])
def test_refused_texts(text: str) -> None:
    """What is no record schema at all is refused, whatever it is."""
    with pytest.raises(SchemaRefused):
        parse_schema(text)


@pytest.mark.parametrize("name", ["R", "a.R"])
def test_recursive(name: str) -> None:
    """A record that contains itself is refused, however it names itself."""
    with pytest.raises(SchemaRefused, match="contains itself"):
        schema_of(field("next", name), namespace="a")


def test_recursive_through_null() -> None:
    """The usual linked list is refused, too."""
    with pytest.raises(SchemaRefused, match=r"nullable record|contains itself"):
        schema_of(field("next", ["null", "R"]))


def test_depth() -> None:
    """Records may be nested, but not without bound."""
    assert parse_schema(json.dumps(nested(MAX_DEPTH))).fields[0].name == ".".join(["x"] * MAX_DEPTH)
    with pytest.raises(SchemaRefused, match="nested deeper"):
        parse_schema(json.dumps(nested(MAX_DEPTH + 1)))


def test_number_of_fields() -> None:
    """Very wide records are refused."""
    assert len(schema_of(*(field(f"f{i}", "int") for i in range(MAX_FIELDS))).fields) == MAX_FIELDS
    with pytest.raises(SchemaRefused, match="more than 2000"):
        schema_of(*(field(f"f{i}", "int") for i in range(MAX_FIELDS + 1)))


def test_text_size() -> None:
    """Very long texts are refused before they are parsed."""
    with pytest.raises(SchemaRefused, match="longer than"):
        parse_schema(record_schema(field("x", "int", doc="d" * MAX_TEXT_BYTES)))


def test_doubling() -> None:
    """Twenty lines that stand for 2^18 fields are refused at once."""
    declared: dict[str, Any] = {"type": "record", "name": "R0", "fields": [field("x", "int")]}
    for level in range(1, 18):
        fields = [field("a", declared), field("b", f"R{level - 1}")]
        declared = {"type": "record", "name": f"R{level}", "fields": fields}
    begun = time.process_time()
    with pytest.raises(SchemaRefused):
        parse_schema(json.dumps(declared))
    assert time.process_time() - begun < 0.2


@pytest.mark.parametrize(
    "text",
    [
        record_schema(field("x", {"type": "enum", "name": "E", "symbols": 5})),
        record_schema(field("x", "int", minimum=10**400)),
        '{"type": "record", "name": "R", "doc": ' + "1" * 5_000 + ', "fields": []}',
    ],
    ids=["symbols", "bound", "number"],
)
def test_one_error(text: str) -> None:
    """Whatever is wrong with a schema, the error is the one that callers know."""
    with pytest.raises(SchemaRefused):
        parse_schema(text)


def test_inherited_namespace() -> None:
    """A type may be named in full where its namespace is its surrounding's."""
    assert schema_of(field("x", ENUM), field("y", "ns.E"), namespace="ns").fields[1].kind is Kind.ENUM


@pytest.mark.parametrize(
    ("declared", "words", "complaint"),
    [
        ("string", {"minimum": 1}, "minimum is for numbers"),
        ("int", {"minLength": 1}, "are for strings"),
        ("int", {"pattern": "a"}, "are for strings"),
        ("int", {"minimum": "1"}, "minimum must be a number"),
        ("int", {"maximum": True}, "maximum must be a number"),
        ("double", {"exclusiveMinimum": float("inf")}, "must be a number"),
        ("string", {"minLength": -1}, "whole number"),
        ("string", {"maxLength": 1.5}, "whole number"),
        ("string", {"maxLength": True}, "whole number"),
        ("int", {"enum": []}, "list of allowed values"),
        ("int", {"enum": 5}, "list of allowed values"),
        ("string", {"pattern": "("}, "no regular expression"),
        ("string", {"pattern": 5}, "no regular expression"),
        ("double", {"allowNaN": "yes"}, "true or false"),
        ("int", {"nullPolicy": "drop"}, "nullPolicy must be"),
        ("int", {"nullPolicy": "impute:x"}, "nullPolicy must be"),
        ("int", {"nullPolicy": 5}, "nullPolicy must be"),
        ("int", {"minItems": 1}, "are for arrays"),
        ("string", {"maxItems": 1}, "are for arrays"),
        (VECTOR, {"minItems": -1}, "minItems must be a whole number"),
        (VECTOR, {"minItems": 3, "maxItems": 2}, "minItems is above maxItems"),
        (VECTOR, {"maxLength": 3}, "are for strings"),
        (["null", VECTOR], {"nullPolicy": "impute:0"}, "nullPolicy of an array must be refuse or nan"),
    ],
)
def test_refused_constraints(declared: Any, words: dict[str, Any], complaint: str) -> None:
    """A constraint that can't be meant is refused, naming the field."""
    with pytest.raises(SchemaRefused, match=rf"field x: .*{complaint}"):
        schema_of(field("x", declared, **words))


def test_vectors() -> None:
    """An array of numbers is one field, of what it holds; it may be null, and has words of its own."""
    plain, nullable = schema_of(
        field("x", VECTOR, minItems=2, maxItems=3, minimum=0),
        field("y", ["null", {"type": "array", "items": {"type": "float"}}], nullPolicy="nan"),
    ).fields
    assert (plain.kind, plain.items, plain.nullable) == (Kind.ARRAY, Kind.DOUBLE, False)
    assert (nullable.kind, nullable.items, nullable.nullable) == (Kind.ARRAY, Kind.FLOAT, True)
    rules = plain.constraints
    assert (rules.min_items, rules.max_items, rules.minimum) == (2, 3, 0)


def test_constraints_are_read() -> None:
    """All of JSON Schema's words, and ours, arrive."""
    number = schema_of(
        field("x", ["null", "double"], minimum=1, maximum=9, exclusiveMinimum=0, exclusiveMaximum=10, enum=[1, 2],
              nullPolicy="impute:1.5", allowNaN=True)
    ).fields[0].constraints  # fmt: skip
    assert (number.minimum, number.maximum, number.exclusive_minimum, number.exclusive_maximum) == (1, 9, 0, 10)
    assert (number.enum, number.null_policy, number.impute, number.allow_nan) == ((1, 2), "impute", 1.5, True)
    assert number.bounds_numbers
    assert not schema_of(field("x", "int")).fields[0].constraints.bounds_numbers
    text = schema_of(field("x", "string", minLength=1, maxLength=2, pattern="a", nullPolicy="impute:b"))
    rules = text.fields[0].constraints
    assert (rules.min_length, rules.max_length, rules.impute, rules.bounds_text) == (1, 2, "b", True)
    assert rules.pattern is not None
    assert rules.pattern.pattern == "a"
