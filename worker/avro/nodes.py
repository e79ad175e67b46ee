"""A writer's or reader's schema as a tree of frozen nodes: names resolved, gated, free of recursion.

A named type that is referred to again is the same node object, so the tree is a small graph without cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()
"""Stands for "the field has no default": ``None`` is a default that a schema may state."""


@dataclass(frozen=True, slots=True)
class Logical:
    """A logical type that the worker acts on; ``precision`` and ``scale`` belong to ``decimal`` alone."""

    name: str
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Primitive:
    """``kind`` is Avro's word: null, boolean, int, long, float, double, string or bytes."""

    kind: str
    logical: Logical | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    name: str
    aliases: tuple[str, ...]
    size: int
    logical: Logical | None = None


@dataclass(frozen=True, slots=True)
class Enum:
    name: str
    aliases: tuple[str, ...]
    symbols: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Array:
    items: Node


@dataclass(frozen=True, slots=True)
class Map:
    values: Node


@dataclass(frozen=True, slots=True)
class Union:
    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One field of a record; ``default`` is the schema's JSON value, or MISSING."""

    name: str
    aliases: tuple[str, ...]
    type: Node
    default: Any = MISSING


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    aliases: tuple[str, ...]
    members: tuple[Member, ...]


Scalar = Primitive | Fixed | Enum
Node = Scalar | Array | Map | Union | Record

_FEWEST = {"null": 0, "float": 4, "double": 8}


def fewest_bytes(node: Node) -> int:
    """The least number of bytes that a value of this type takes."""
    if isinstance(node, Primitive):
        return _FEWEST.get(node.kind, 1)
    if isinstance(node, Fixed):
        return node.size
    if isinstance(node, Record):
        return sum(fewest_bytes(member.type) for member in node.members)
    return 1


def plain(name: str) -> str:
    """A name without its namespace: that is what resolution compares."""
    return name.rpartition(".")[2]
