"""Writer schema against reader schema: names, aliases, defaults, promotions, enums; what fits is read, the rest refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.fuzz.bodies import varint
from tests.unit.avro_columnar.rig import dtype_of, faults, read, reader_of, record, values
from worker.avro.faults import Fault
from worker.avro.resolution import WrongRecordType
from worker.avro.schema import SchemaRefused


def refused(writer: dict[str, Any], reader: dict[str, Any]) -> str:
    with pytest.raises(SchemaRefused) as caught:
        reader_of(writer, reader)
    return str(caught.value)


def test_missing_field_takes_its_default() -> None:
    """29: a field that the writer lacks holds its default in every row, of whatever type, nested ones too."""
    inner = record(("x", "int"), {"name": "y", "type": "float", "default": 0.5}, name="Inner")
    reader = record(
        ("a", "int"),
        {"name": "f", "type": "boolean", "default": True},
        {
            "name": "m",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
            "default": "\u007b",
        },
        {"name": "n", "type": ["null", "double"], "default": None},
        {"name": "d", "type": "double", "default": 7},
        {"name": "s", "type": "string", "default": "é"},
        {"name": "b", "type": "bytes", "default": "\u00ff"},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "default": "B"},
        {"name": "v", "type": {"type": "array", "items": "int"}, "default": [1, 2]},
        {"name": "r", "type": inner, "default": {"x": 3}},
        {"name": "t", "type": ["string", "null"], "default": "x"},
    )
    reading = read(record(("a", "int")), [b"\x02", b"\x04"], reader)
    expected = {
        "f": True,
        "m": 1.23,
        "n": None,
        "d": 7.0,
        "s": "é",
        "b": b"\xff",
        "e": "B",
        "v": [1, 2],
        "r.x": 3,
        "r.y": 0.5,
        "t": "x",
    }
    assert {name: values(reading, name) for name in expected} == {k: [v, v] for k, v in expected.items()}
    assert list(reading.columns) == ["a", "f", "m", "n", "d", "s", "b", "e", "v", "r.x", "r.y", "t"]


def test_missing_field_without_default() -> None:
    """29: without a default the writer schema is refused against this reader, by the field's name."""
    assert "b: the writer lacks it" in refused(record(("a", "int")), record(("a", "int"), ("b", "int")))
    inner = {"name": "r", "type": record(("x", "int"), name="R"), "default": {}}
    assert "r.x" in refused(record(("a", "int")), record(inner))


@pytest.mark.parametrize(
    ("declared", "default"),
    [
        ("int", 2**31),
        ("int", "1"),
        ("int", True),
        ("string", 5),
        (["null", "int"], "x"),
        ("boolean", 1),
        ({"type": "fixed", "name": "F", "size": 2}, "abc"),
        ("double", None),
        ("double", 10**400),
        ("double", float("nan")),
        ("float", 1e39),
        ("string", "\ud800"),
        ("bytes", "\u0100"),
        (record(("a", "int"), name="R"), 5),
        ({"type": "long", "logicalType": "timestamp-millis"}, 2**62),
        ({"type": "string", "logicalType": "uuid"}, "no"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, "\u007f"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B"),
        ({"type": "array", "items": "int"}, [None]),
    ],
)
def test_defaults_that_do_not_fit(declared: Any, default: Any) -> None:
    """29: a default outside its field's type is refused once, not found in the data."""
    reader = record({"name": "a", "type": declared, "default": default})
    assert "default does not fit" in refused(record(), reader)


def test_renamed_reordered_and_extra_fields() -> None:
    """29: fields are found by name, then by alias, in any order; what else was written is skipped."""
    writer = record(("a", "int"), ("junk", "string"), ("old", "double"), ("c", "boolean"))
    reader = record(("c", "boolean"), {"name": "new", "aliases": ["older", "old"], "type": "double"}, ("a", "int"))
    body = varint(4) + b"\x08junk" + np.float64(2.5).tobytes() + b"\x01"
    reading = read(writer, [body, body], reader)
    assert [values(reading, name) for name in ("c", "new", "a")] == [[True] * 2, [2.5] * 2, [4] * 2]


def test_a_name_goes_before_an_alias() -> None:
    """29: where the writer has both the new name and the old one, the new one feeds the field."""
    reader = record({"name": "new", "aliases": ["old"], "type": "int"})
    assert values(read(record(("old", "int"), ("new", "int")), [b"\x02\x04"], reader), "new") == [2]


@pytest.mark.parametrize("names", [("b", "a"), ("a", "b")])
def test_an_alias_takes_no_field_from_its_namesake(names: tuple[str, str]) -> None:
    """29: a field is fed by its namesake, not by another field's claim through an alias, whichever comes first."""
    fields: dict[str, dict[str, Any]] = {
        "a": {"name": "a", "aliases": ["b", "c"], "type": "int", "default": 9},
        "b": {"name": "b", "type": "int"},
    }
    reading = read(record(("b", "int")), [b"\x02"], record(*[fields[name] for name in names]))
    assert (values(reading, "a"), values(reading, "b")) == ([9], [1])
    reading = read(record(("b", "int"), ("c", "int")), [b"\x02\x04"], record(*[fields[name] for name in names]))
    assert (values(reading, "a"), values(reading, "b")) == ([2], [1])


def test_record_names() -> None:
    """Records are the same by their name without namespace, or by an alias; others are refused."""
    writer = record(("a", "int"), name="Order", namespace="old.place")
    assert values(read(writer, [b"\x02"], record(("a", "int"), name="new.Order")), "a") == [1]
    assert values(read(writer, [b"\x02"], record(("a", "int"), name="Bill", aliases=["x.Order"])), "a") == [1]
    with pytest.raises(WrongRecordType, match=r"^written as old\.place\.Order, expected Bill$"):
        reader_of(writer, record(("a", "int"), name="Bill"))


@pytest.mark.parametrize("target", ["int", "long", "float", "double"])
def test_promotions_of_int(target: str) -> None:
    """30: an int becomes any greater number, in the reader's type."""
    reading = read(record(("x", "int")), [varint(-5), varint(2**24 + 1)], record(("x", target)))
    assert values(reading, "x") == [-5, 2**24 if target == "float" else 2**24 + 1]
    assert dtype_of(reading, "x") == {"int": "i4", "long": "i8", "float": "f4", "double": "f8"}[target]


def test_other_promotions() -> None:
    """30: long and float widen, string and bytes are read as one another, as UTF-8 where they become a string."""
    long = varint(2**60 + 2**36 + 1)
    assert values(read(record(("x", "long")), [long], record(("x", "float"))), "x") == [2.0**60]
    vectors = record(("x", {"type": "array", "items": "long"})), record(("x", {"type": "array", "items": "float"}))
    assert values(read(vectors[0], [b"\x02" + long + b"\x00"] * 2, vectors[1]), "x") == [[2.0**60]] * 2
    assert values(read(record(("x", "long")), [varint(2**53 + 1)], record(("x", "double"))), "x") == [2.0**53]
    assert values(read(record(("x", "float")), [b"\x00\x00\xc0\x3f"], record(("x", "double"))), "x") == [1.5]
    assert values(read(record(("x", "string")), [b"\x04\xc3\xa9"], record(("x", "bytes"))), "x") == ["é".encode()]
    bodies = [b"\x04\xc3\xa9", b"\x02\xff"]
    reading = read(record(("x", "bytes")), bodies, record(("x", "string")))
    assert (values(reading, "x")[0], reading.fault.tolist()) == ("é", [0, Fault.UTF8])


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("long", "int"),
        ("double", "float"),
        ("float", "long"),
        ("string", "int"),
        ("boolean", "int"),
        ("int", "string"),
        ({"type": "long", "logicalType": "timestamp-micros"}, {"type": "long", "logicalType": "timestamp-millis"}),
        ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, {"type": "enum", "name": "G", "symbols": ["A"]}),
        (["null", "long"], "int"),
        ({"type": "array", "items": "string"}, {"type": "array", "items": "int"}),
        (record(("a", "int"), name="R"), "int"),
        ("int", record(("a", "int"), name="R")),
    ],
)
def test_no_promotion(writer: Any, reader: Any) -> None:
    """30: what would lose or invent values is refused once, by the field's name."""
    assert "field x" in refused(record(("x", writer)), record(("x", reader)))


@pytest.mark.parametrize(("default", "expected"), [(None, Fault.UNKNOWN_SYMBOL), ("A", Fault.NONE)])
def test_enum_symbols(default: str | None, expected: Fault) -> None:
    """31: a symbol that the reader lacks is its default, or refuses the record; the others are found by name."""
    writer = record(("x", {"type": "enum", "name": "E", "symbols": ["C", "B", "A"]}))
    symbols = {"type": "enum", "name": "E", "symbols": ["A", "B"]} | ({"default": default} if default else {})
    reading = read(writer, [b"\x00", b"\x02", b"\x04"], record(("x", symbols)))
    assert reading.fault.tolist() == [expected, 0, 0]
    assert values(reading, "x")[1:] == ["B", "A"]
    assert default is None or values(reading, "x")[0] == default


def test_unions() -> None:
    """A nullable field of either order feeds a nullable one; a plain one takes it as long as it is not null."""
    writer = record(("x", ["int", "null"]))
    assert values(read(writer, [b"\x00\x0a", b"\x02"], record(("x", ["null", "double"]))), "x") == [5.0, None]
    assert faults(writer, [b"\x00\x0a", b"\x02"], record(("x", "int"))) == [Fault.NONE, Fault.UNMATCHED]
    assert values(read(record(("x", "int")), [b"\x0a"], record(("x", ["null", "long"]))), "x") == [5]


def test_a_union_of_several_types() -> None:
    """Of a general union the branches that the reader takes are read, a record that carries another is refused."""
    inner = record(("y", "double"), name="R")
    writer = record(("x", ["null", "int", "string", inner]), ("z", "int"))
    bodies = [b"\x00\x02", b"\x02\x0a\x02", b"\x04\x02a\x02", b"\x06" + bytes(8) + b"\x02"]
    reading = read(writer, bodies, record(("x", ["null", "double"]), ("z", "int")))
    assert reading.fault.tolist() == [0, 0, Fault.UNMATCHED, Fault.UNMATCHED]
    assert values(reading, "x")[:2] == [None, 5.0]
    assert values(read(writer, bodies, record(("z", "int"))), "z") == [1, 1, 1, 1]
    assert values(read(writer, bodies[3:], record(("x", inner), ("z", "int"))), "x.y") == [0.0]


def test_vectors() -> None:
    """Arrays of numbers are vectors, of equal length or not, promoted item by item."""
    writer, reader = (
        record(("v", {"type": "array", "items": "int"})),
        record(("v", {"type": "array", "items": "double"})),
    )
    reading = read(writer, [b"\x04\x02\x04\x00", b"\x04\x06\x08\x00"], reader)
    assert reading.columns["v"].matrix(2).tolist() == [[1, 2], [3, 4]]  # type: ignore[union-attr]  # it is a vector
    ragged = read(writer, [b"\x04\x02\x04\x00", b"\x00", b"\x02\x02\x02\x06\x00"], reader)
    assert values(ragged, "v") == [[1.0, 2.0], [], [1.0, 3.0]]
    with pytest.raises(ValueError, match="not all vectors have 2 items"):
        ragged.columns["v"].matrix(2)  # type: ignore[union-attr]  # it is a vector
    vectors = ragged.columns["v"].take(np.array([2, 0]))
    assert vectors.objects().tolist() == [[1.0, 3.0], [1.0, 2.0]]
    assert vectors.lengths().tolist() == [2, 2]  # type: ignore[union-attr]  # it is a vector


def test_nullable_vectors() -> None:
    """A vector may be null where the reader says so, whether or not the writer does; its default may be."""
    vector = {"type": "array", "items": "int"}
    nullable = record({"name": "v", "type": ["null", vector], "default": None})
    bodies = [b"\x00", b"\x02\x04\x02\x04\x00", b"\x02\x00"]
    assert values(read(nullable, bodies), "v") == [None, [1, 2], []]
    assert values(read(record(("v", vector)), [b"\x04\x02\x04\x00"], nullable), "v") == [[1, 2]]
    reading = read(nullable, bodies, record(("v", vector)))
    assert reading.fault.tolist() == [Fault.UNMATCHED, 0, 0]
    assert values(read(record(), [b"", b""], nullable), "v") == [None, None]


def test_vectors_of_unions() -> None:
    """Items of several types are taken as long as each is a number of the reader's type."""
    writer = record(("v", {"type": "array", "items": ["null", "int", "double"]}))
    reader = record(("v", {"type": "array", "items": "double"}))
    bodies = [b"\x04\x02\x04\x04" + np.float64(0.5).tobytes() + b"\x00", b"\x02\x00\x00", b"\x00"]
    reading = read(writer, bodies, reader)
    assert reading.fault.tolist() == [0, Fault.UNMATCHED, 0]
    assert values(reading, "v") == [[2.0, 0.5], [], []]


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "map", "values": "int"},
        ["int", "string"],
        {"type": "array", "items": "string"},
        "null",
        ["null", record(("a", "int"), name="R")],
    ],
)
def test_types_that_no_column_can_hold(declared: Any) -> None:
    """A reader's field must be one that a column can hold."""
    assert "field x" in refused(record(("x", declared)), record(("x", declared)))
