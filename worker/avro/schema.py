"""The reader schema: the one that the settings name, with the constraints that stand in it.

It passes the same gate as a writer's (``gate``), and besides holds only what can be columns: numbers, text, enums and
arrays of numbers, nullable or not, and records of these.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.avro.bounds import MAX_DEPTH, MAX_FIELDS, MAX_TEXT_BYTES, SchemaRefused
from worker.avro.constraints import Constraints, parse_constraints
from worker.avro.gate import gate_writer

__all__ = [
    "ITEMS",
    "MAX_DEPTH",
    "MAX_FIELDS",
    "MAX_TEXT_BYTES",
    "Field",
    "Kind",
    "RecordSchema",
    "SchemaRefused",
    "parse_schema",
]


class Kind(enum.StrEnum):
    """A column's type, in Avro's words."""

    BOOLEAN = "boolean"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BYTES = "bytes"
    FIXED = "fixed"
    ENUM = "enum"
    ARRAY = "array"

    @property
    def is_text(self) -> bool:
        return self in (Kind.STRING, Kind.BYTES, Kind.FIXED, Kind.ENUM)


ITEMS = (Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DOUBLE)
"""What an array may hold to be a column of vectors."""


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf of the record; a nested record's fields have dotted names. ``items``: what an array holds."""

    name: str
    kind: Kind
    nullable: bool = False
    logical: str | None = None
    symbols: tuple[str, ...] = ()
    items: Kind | None = None
    constraints: Constraints = field(default_factory=Constraints)


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """A gated reader schema; ``fingerprint`` is the CRC-64-AVRO of its canonical form, as on the wire."""

    name: str
    fields: tuple[Field, ...]
    fingerprint: bytes
    text: str

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


def parse_schema(text: str) -> RecordSchema:
    """Gate and parse a schema's JSON text. Raises SchemaRefused."""
    gated = gate_writer(text)  # bounds everything that follows
    fields = tuple(_Reader().leaves(json.loads(text), prefix="", namespace=""))
    if len(fields) > MAX_FIELDS:
        raise SchemaRefused(f"the schema has {len(fields)} fields, more than {MAX_FIELDS}")
    return RecordSchema(gated.name, fields, gated.fingerprint, text)


class _Reader:
    """Walks one schema to its leaves; knows the named types met so far, since Avro refers to them by name."""

    def __init__(self) -> None:
        self._named: dict[str, Mapping[str, Any]] = {}

    def leaves(self, record: Mapping[str, Any], *, prefix: str, namespace: str) -> Iterator[Field]:
        inner = self._define(record, namespace)
        for member in record["fields"]:
            yield from self._leaf(member, prefix=prefix, namespace=inner)

    def _leaf(self, member: Mapping[str, Any], *, prefix: str, namespace: str) -> Iterator[Field]:
        name = prefix + member["name"]
        declared, nullable = _unwrap(member["type"], name)
        if isinstance(declared, str):
            declared = self._named.get(f"{namespace}.{declared}", self._named.get(declared, declared))
        if isinstance(declared, dict) and declared.get("type") == "record":
            if nullable:
                raise SchemaRefused(f"field {name}: a nullable record is not supported")
            yield from self.leaves(declared, prefix=f"{name}.", namespace=namespace)
            return
        kind, logical, symbols = _kind(declared, name)
        items = _items(declared["items"], name) if kind is Kind.ARRAY else None
        if isinstance(declared, dict):
            self._define(declared, namespace)
        if logical == "decimal" and kind in (Kind.BYTES, Kind.FIXED):
            kind = Kind.DOUBLE  # what its column holds
        if "pattern" in member and kind in (Kind.BYTES, Kind.FIXED):
            raise SchemaRefused(f"field {name}: pattern is for strings, not for {kind}")
        try:
            constraints = parse_constraints(member, is_text=kind.is_text, is_array=kind is Kind.ARRAY)
        except ValueError as error:
            raise SchemaRefused(str(error)) from None
        yield Field(name, kind, nullable, logical, symbols, items, constraints)

    def _define(self, definition: Mapping[str, Any], namespace: str) -> str:
        """Note a named type; the namespace that holds within it."""
        name = definition.get("name")
        if not isinstance(name, str):
            return namespace
        space, _, plain = name.rpartition(".")
        space = space or definition.get("namespace", namespace)
        self._named[plain] = self._named[f"{space}.{plain}"] = definition
        return str(space)


def _unwrap(declared: Any, name: str) -> tuple[Any, bool]:
    """The type behind ``["null", T]`` or ``[T, "null"]``, and whether it was nullable."""
    if not isinstance(declared, list):
        return declared, False
    others = [branch for branch in declared if branch != "null"]
    if len(others) != 1 or len(declared) > 2:
        raise SchemaRefused(f"field {name}: of unions, only null with one other type is supported")
    return others[0], len(declared) == 2


def _kind(declared: Any, name: str) -> tuple[Kind, str | None, tuple[str, ...]]:
    attributes: Mapping[str, Any] = declared if isinstance(declared, dict) else {"type": declared}
    word = attributes.get("type")
    try:
        kind = Kind(word) if isinstance(word, str) else None
    except ValueError:
        kind = None
    if kind is None:
        shown = word if isinstance(word, str) else "a nested definition"
        raise SchemaRefused(f"field {name}: type {shown} is not supported")
    symbols = attributes.get("symbols", ())
    return kind, attributes.get("logicalType"), tuple(symbols) if kind is Kind.ENUM else ()


def _items(declared: Any, name: str) -> Kind:
    word = declared if isinstance(declared, str) else None
    if isinstance(declared, dict) and "logicalType" not in declared:
        word = declared.get("type")
    if word not in ITEMS:
        raise SchemaRefused(f"field {name}: of arrays, only those of {', '.join(ITEMS)} are supported")
    return Kind(word)
