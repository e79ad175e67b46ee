"""Record schemas, parsed once and gated: what may reach a decoder, and what it holds.

A schema is refused when decoding by it could crash or fill the process (fastavro overflows the stack on a recursive
schema, and six bytes of ``array<null>`` allocate without bound), or when it holds what the worker can't turn into
columns.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.constraints import Constraints, parse_constraints

MAX_TEXT_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_FIELDS = 2_000


class SchemaRefused(ValueError):  # noqa: N818 - a verdict
    """The schema can't be used; the text says which field and why."""


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

    @property
    def is_text(self) -> bool:
        return self in (Kind.STRING, Kind.BYTES, Kind.FIXED, Kind.ENUM)


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf of the record; a nested record's fields have dotted names."""

    name: str
    kind: Kind
    nullable: bool = False
    logical: str | None = None
    symbols: tuple[str, ...] = ()
    constraints: Constraints = field(default_factory=Constraints)


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """A gated record schema. ``parsed`` is fastavro's form, without logical types: values stay as they are encoded."""

    name: str
    fields: tuple[Field, ...]
    fingerprint: bytes
    text: str
    parsed: Any = field(repr=False, compare=False)

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


def parse_schema(text: str) -> RecordSchema:
    """Gate and parse a schema's JSON text. Raises SchemaRefused."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise SchemaRefused(f"the schema's text is longer than {MAX_TEXT_BYTES} bytes")
    try:
        raw = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SchemaRefused(f"the schema is not valid JSON: {error}") from None
    if not isinstance(raw, dict) or raw.get("type") != "record":
        raise SchemaRefused("the schema's top level must be a record")
    fields = tuple(_Reader().leaves(raw, prefix="", open_names=()))
    if len(fields) > MAX_FIELDS:
        raise SchemaRefused(f"the schema has {len(fields)} fields, more than {MAX_FIELDS}")
    try:
        parsed: Any = fastavro.parse_schema(_without_logical_types(raw))
        canonical = to_parsing_canonical_form(raw)
        print64 = bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
    except Exception as error:  # noqa: BLE001 - fastavro raises many kinds for a malformed schema; all mean the same
        raise SchemaRefused(f"the schema is malformed: {error}") from None
    return RecordSchema(name=parsed["name"], fields=fields, fingerprint=print64, text=text, parsed=parsed)


class _Reader:
    """Walks one schema to its leaves; knows the named types met so far, since Avro refers to them by name."""

    def __init__(self) -> None:
        self._named: dict[str, Mapping[str, Any]] = {}

    def leaves(self, record: Mapping[str, Any], *, prefix: str, open_names: tuple[str, ...]) -> Iterator[Field]:
        name = str(record.get("name"))
        if name in open_names:
            raise SchemaRefused(f"record {name} contains itself")
        if len(open_names) >= MAX_DEPTH:
            raise SchemaRefused(f"records are nested deeper than {MAX_DEPTH}")
        members = record.get("fields")
        if not isinstance(members, list):
            raise SchemaRefused(f"record {name} has no list of fields")
        self._define(record)
        for member in members:
            if not isinstance(member, dict) or not isinstance(member.get("name"), str):
                raise SchemaRefused(f"record {name} has a field without a name")
            yield from self._leaf(member, prefix=prefix, open_names=(*open_names, name))

    def _leaf(self, member: Mapping[str, Any], *, prefix: str, open_names: tuple[str, ...]) -> Iterator[Field]:
        name = prefix + member["name"]
        declared, nullable = _unwrap(member.get("type"), name)
        if isinstance(declared, str):
            declared = self._named.get(declared, declared)
        if isinstance(declared, dict) and declared.get("type") == "record":
            if nullable:
                raise SchemaRefused(f"field {name}: a nullable record is not supported")
            yield from self.leaves(declared, prefix=f"{name}.", open_names=open_names)
            return
        kind, logical, symbols = _kind(declared, name)
        if isinstance(declared, dict):
            self._define(declared)
        try:
            constraints = parse_constraints(member, is_text=kind.is_text)
        except ValueError as error:
            raise SchemaRefused(str(error)) from None
        yield Field(name, kind, nullable, logical, symbols, constraints)

    def _define(self, definition: Mapping[str, Any]) -> None:
        if isinstance(name := definition.get("name"), str):
            self._named[name] = definition
            self._named[f"{definition.get('namespace', '')}.{name}"] = definition


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


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_logical_types(value) for key, value in node.items() if key not in ("logicalType", "default")
        } | ({"default": node["default"]} if "default" in node else {})
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node
