"""The schema gate: which schemas may reach a reader at all, decided once per schema and quickly.

1. A schema is refused, not decoded by, when decoding by it could crash or fill the process: recursion, nesting deeper
   than ``MAX_DEPTH``, arrays or maps of items that take no bytes (six bytes then announce a billion items).
2. Every bound holds for the schema as it unfolds, not only as it is written: thirty records that each hold the next one
   twice are a short text and a billion fields.
3. A writer may hold what the worker does not read (arrays, maps, unions of several types): it is skipped. What the
   *reader* may hold is for resolution to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.bounds import MAX_DEPTH, MAX_FIELDS, MAX_TEXT_BYTES, SchemaRefused
from worker.avro.nodes import (
    MISSING,
    Array,
    Enum,
    Fixed,
    Logical,
    Map,
    Member,
    Node,
    Primitive,
    Record,
    Union,
    fewest_bytes,
)

MAX_FIXED_BYTES = 1_000_000
MAX_PRECISION = 77
"""Digits of a decimal: what 32 bytes hold."""

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "string", "bytes"})
_COMPLEX = frozenset({"record", "enum", "fixed", "array", "map"})
_CANONICAL = frozenset({"type", "name", "namespace", "fields", "items", "values", "symbols", "size"})
_LOGICAL = {
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    "timestamp-millis": "long",
    "timestamp-micros": "long",
    "local-timestamp-millis": "long",
    "local-timestamp-micros": "long",
    "uuid": "string",
}


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A gated schema. ``fingerprint`` is the CRC-64-AVRO of its canonical form, as on the wire."""

    name: str
    fingerprint: bytes
    text: str
    root: Record = field(repr=False, compare=False)


def gate_writer(text: str) -> WriterSchema:
    """Gate a schema's JSON text. Raises SchemaRefused."""
    raw, root = _gated(text)
    try:
        print64 = bytes.fromhex(fingerprint(to_parsing_canonical_form(_bare(raw)), "CRC-64-AVRO"))
    except Exception as error:  # noqa: BLE001 - fastavro raises many kinds for a malformed schema; all mean the same
        raise SchemaRefused(f"the schema is malformed: {str(error)[:200]}") from None
    return WriterSchema(root.name, print64, text, root)


def record_of(text: str) -> Record:
    """The tree of a schema's JSON text. Raises SchemaRefused."""
    return _gated(text)[1]


def _gated(text: str) -> tuple[Any, Record]:
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise SchemaRefused(f"the schema's text is longer than {MAX_TEXT_BYTES} bytes")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaRefused(f"the schema is not valid JSON: {str(error)[:200]}") from None
    if not isinstance(raw, dict) or raw.get("type") != "record":
        raise SchemaRefused("the schema's top level must be a record")
    root = _Gate().node(raw, "", 0)
    assert isinstance(root, Record)
    return raw, root


class _Gate:
    """Builds one schema's tree; counts what it unfolds to while it does."""

    def __init__(self) -> None:
        self._named: dict[str, Node] = {}
        self._open: set[str] = set()
        self._size: dict[int, int] = {}
        self._height: dict[int, int] = {}

    def node(self, declared: Any, namespace: str, depth: int) -> Node:
        self._bound_depth(depth)
        if isinstance(declared, str):
            return self._reference(declared, namespace, depth)
        if isinstance(declared, list):
            return self._union(declared, namespace, depth)
        if not isinstance(declared, dict):
            raise SchemaRefused(f"a type must be a name, a list or an object, not {type(declared).__name__}")
        word = declared.get("type")
        if isinstance(word, str) and word in _PRIMITIVES:
            return Primitive(word, _logical(declared, word, 0))
        if isinstance(word, str) and word in _COMPLEX:
            return self._complex(word, declared, namespace, depth)
        return self.node(word, namespace, depth + 1)

    def _complex(self, word: str, declared: Mapping[str, Any], namespace: str, depth: int) -> Node:
        match word:
            case "record":
                return self._record(declared, namespace, depth)
            case "enum":
                return self._enum(declared, namespace)
            case "fixed":
                return self._fixed(declared, namespace)
            case "array":
                return self._container(Array(self.node(declared.get("items"), namespace, depth + 1)))
            case _:
                return self._container(Map(self.node(declared.get("values"), namespace, depth + 1)))

    @staticmethod
    def _bound_depth(depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SchemaRefused(f"the schema is nested deeper than {MAX_DEPTH}")

    def _reference(self, word: str, namespace: str, depth: int) -> Node:
        if word in _PRIMITIVES:
            return Primitive(word)
        for name in (_full(word, namespace), word):
            if name in self._open:
                raise SchemaRefused(f"record {name} contains itself")
            if (known := self._named.get(name)) is not None:
                self._bound_depth(depth + self._height.get(id(known), 0))
                return known
        raise SchemaRefused(f"type {word[:200]!r} is neither Avro's nor defined before its use")

    def _union(self, declared: list[Any], namespace: str, depth: int) -> Node:
        branches = tuple(self.node(branch, namespace, depth + 1) for branch in declared)
        if not branches:
            raise SchemaRefused("a union has no branches")
        if any(isinstance(branch, Union) for branch in branches):
            raise SchemaRefused("a union stands directly in a union")
        kinds = [_branch_name(branch) for branch in branches]
        if len(set(kinds)) != len(kinds):
            raise SchemaRefused("a union holds the same type twice")
        return self._measured(Union(branches), branches)

    def _record(self, declared: Mapping[str, Any], namespace: str, depth: int) -> Node:
        name, inner, aliases = self._header(declared, namespace)
        raw = declared.get("fields")
        if not isinstance(raw, list):
            raise SchemaRefused(f"record {name} has no list of fields")
        self._open.add(name)
        members = tuple(self._member(entry, name, inner, depth) for entry in raw)
        self._open.discard(name)
        if len({member.name for member in members}) != len(members):
            raise SchemaRefused(f"record {name} has two fields of one name")
        node = Record(name, aliases, members)
        self._named[name] = node
        return self._measured(node, [member.type for member in members])

    def _member(self, raw: Any, record: str, namespace: str, depth: int) -> Member:
        if not isinstance(raw, dict) or not isinstance(name := raw.get("name"), str) or not name or "." in name:
            raise SchemaRefused(f"record {record} has a field without a proper name")
        node = self.node(raw.get("type"), namespace, depth + 1)
        return Member(name, _strings(raw, "aliases", name), node, raw.get("default", MISSING))

    def _enum(self, declared: Mapping[str, Any], namespace: str) -> Node:
        name, _, aliases = self._header(declared, namespace)
        symbols = _strings(declared, "symbols", name)
        if not symbols or len(set(symbols)) != len(symbols):
            raise SchemaRefused(f"enum {name} needs symbols, each once")
        default = declared.get("default")
        if default is not None and default not in symbols:
            raise SchemaRefused(f"the default of enum {name} is none of its symbols")
        node = self._named[name] = Enum(name, aliases, symbols, default)
        return node

    def _fixed(self, declared: Mapping[str, Any], namespace: str) -> Node:
        name, _, aliases = self._header(declared, namespace)
        size = declared.get("size")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_FIXED_BYTES:
            raise SchemaRefused(f"the size of fixed {name} must be a number from 0 to {MAX_FIXED_BYTES}")
        node = self._named[name] = Fixed(name, aliases, size, _logical(declared, "fixed", size))
        return node

    def _header(self, declared: Mapping[str, Any], namespace: str) -> tuple[str, str, tuple[str, ...]]:
        """Full name, the namespace within, and the aliases, of a definition."""
        name = declared.get("name")
        if not isinstance(name, str) or not name or name in _PRIMITIVES:
            raise SchemaRefused("a definition has no proper name")
        own = declared.get("namespace", namespace)
        if not isinstance(own, str):
            raise SchemaRefused(f"the namespace of {name} is no string")
        full = _full(name, own)
        if full in self._named or full in self._open:
            raise SchemaRefused(f"{full} is defined twice")
        inner = full.rpartition(".")[0]
        return full, inner, tuple(_full(alias, inner) for alias in _strings(declared, "aliases", name))

    def _container(self, node: Array | Map) -> Node:
        items = node.items if isinstance(node, Array) else node.values
        if fewest_bytes(items) == 0:
            word = "an array" if isinstance(node, Array) else "a map"
            raise SchemaRefused(f"the items of {word} take no bytes: a few bytes could announce any number of them")
        return self._measured(node, [items])

    def _measured(self, node: Node, inner: Iterable[Node]) -> Node:
        """The node, its unfolded size and height known and within bounds."""
        inner = tuple(inner)
        size = 1 + sum(self._size.get(id(child), 1) for child in inner)
        # A nullable field is three nodes: its union, null and the other type.
        if size > 4 * MAX_FIELDS or (isinstance(node, Record) and len(node.members) > MAX_FIELDS):
            raise SchemaRefused(f"the schema unfolds to more than {MAX_FIELDS} fields")
        self._size[id(node)] = size
        self._height[id(node)] = 1 + max((self._height.get(id(child), 0) for child in inner), default=0)
        return node


def _bare(node: Any) -> Any:
    """What the canonical form is made of; a default that does not fit is no fault of the bytes."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key in _CANONICAL}
    return [_bare(item) for item in node] if isinstance(node, list) else node


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _branch_name(node: Node) -> str:
    return node.kind if isinstance(node, Primitive) else getattr(node, "name", type(node).__name__)


def _strings(declared: Mapping[str, Any], word: str, name: str) -> tuple[str, ...]:
    values = declared.get(word, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SchemaRefused(f"the {word} of {name} must be a list of strings")
    return tuple(values)


def _logical(declared: Mapping[str, Any], kind: str, size: int) -> Logical | None:
    """The logical type, where it is one that the worker acts on; Avro says to ignore any other."""
    word = declared.get("logicalType")
    if word == "decimal" and kind in ("bytes", "fixed"):
        precision, scale = declared.get("precision"), declared.get("scale", 0)
        if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision <= MAX_PRECISION:
            raise SchemaRefused(f"a decimal needs a precision of 1 to {MAX_PRECISION}, and a scale within it")
        if precision < 1 or (kind == "fixed" and not size):
            raise SchemaRefused("a decimal needs a digit at least, and a byte to hold it")
        return Logical("decimal", precision, scale)
    return Logical(word) if isinstance(word, str) and _LOGICAL.get(word) == kind else None
