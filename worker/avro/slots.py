"""The reader's fields as slots: what kind of column each becomes, and the defaults that may stand in one."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worker.avro.bounds import SchemaRefused
from worker.avro.logical import LogicalCheck, check_of
from worker.avro.nodes import Array, Enum, Fixed, Logical, Node, Primitive, Union


class Form(enum.Enum):
    """What a slot's column is made of."""

    NUMBER = enum.auto()
    TEXT = enum.auto()
    ENUM = enum.auto()
    DECIMAL = enum.auto()
    VECTOR = enum.auto()


@dataclass(frozen=True, slots=True)
class Slot:
    """One (dotted) field of the reader. ``dtype`` is its column's, or its vector items'; text has none."""

    index: int
    name: str
    form: Form
    type: Node
    nullable: bool
    dtype: Any = None
    symbols: tuple[str, ...] = ()
    logical: Logical | None = None
    check: LogicalCheck | None = field(default=None, compare=False)

    @property
    def is_string(self) -> bool:
        """Characters rather than bytes: must be valid UTF-8."""
        return self.form is Form.ENUM or (isinstance(self.type, Primitive) and self.type.kind == "string")


DTYPES: dict[str, Any] = {
    "boolean": np.bool_,
    "int": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": np.float64,
}
_LIMITS = {"int": 2**31, "long": 2**63}
_BEYOND = {"float": (2 - 2**-24) * 2.0**127}
"""From here on a float32 is infinite: half a step beyond its largest number."""


def slot_of(index: int, name: str, declared: Node) -> Slot:
    """Raises SchemaRefused for a type that can't be a column."""
    node, nullable = _unwrapped(declared, name)
    if isinstance(node, Enum):
        return Slot(index, name, Form.ENUM, node, nullable, symbols=node.symbols)
    if isinstance(node, Array):
        kind = node.items.kind if isinstance(node.items, Primitive) else ""
        if kind in DTYPES and kind != "boolean":
            return Slot(index, name, Form.VECTOR, node, nullable, DTYPES[kind])
        raise SchemaRefused(f"field {name}: of arrays, only those of numbers are supported")
    if not isinstance(node, Primitive | Fixed) or node == Primitive("null"):
        raise SchemaRefused(f"field {name}: {type(node).__name__.lower()} can't be a column")
    logical = node.logical
    if logical is not None and logical.name == "decimal":
        return Slot(index, name, Form.DECIMAL, node, nullable, np.float64, logical=logical)
    check = check_of(logical)
    if isinstance(node, Primitive) and node.kind in DTYPES:
        return Slot(index, name, Form.NUMBER, node, nullable, DTYPES[node.kind], logical=logical, check=check)
    return Slot(index, name, Form.TEXT, node, nullable, logical=logical, check=check)


def constant(slot: Slot, value: Any) -> Any:
    """A default as the column's value: a number, bytes, an enum's index, a list, or None. Raises SchemaRefused."""
    if value is None and slot.nullable:
        return None
    fitted = _fitted(slot, value)
    if fitted is None:
        raise SchemaRefused(f"field {slot.name}: its default does not fit its type")
    return fitted


def _fitted(slot: Slot, value: Any) -> Any:
    if slot.form is Form.VECTOR:
        assert isinstance(slot.type, Array)
        items = [_number(slot.type.items, item) for item in value] if isinstance(value, list) else [None]
        return None if None in items else items
    if slot.form is Form.NUMBER:
        number = _number(slot.type, value)
        return None if number is None or (slot.check and not slot.check.number_fits(number)) else number
    return _fitted_text(slot, value) if isinstance(value, str) else None


def _fitted_text(slot: Slot, value: str) -> Any:
    if slot.form is Form.ENUM:
        return slot.symbols.index(value) if value in slot.symbols else None
    text = _encoded(value, "utf-8" if slot.is_string else "latin-1")
    if text is None or (isinstance(slot.type, Fixed) and len(text) != slot.type.size):
        return None
    if slot.form is Form.DECIMAL:
        assert slot.logical is not None
        return decimal_value(text, slot.logical)
    return None if slot.check and not slot.check.text_fits(text) else text


def decimal_value(unscaled: bytes, logical: Logical) -> float | None:
    """The nearest float64 of a big-endian two's-complement decimal; None when empty or beyond its precision."""
    if not unscaled or len(unscaled) > MAX_DECIMAL_BYTES:
        return None
    number = int.from_bytes(unscaled, "big", signed=True)
    return None if abs(number) >= 10**logical.precision else number / 10**logical.scale


MAX_DECIMAL_BYTES = 64
"""Twice what the largest precision needs: encoders may pad."""


def _encoded(value: str, codec: str) -> bytes | None:
    try:
        return value.encode(codec)
    except UnicodeEncodeError:
        return None


def _number(node: Node, value: Any) -> Any:
    kind = node.kind if isinstance(node, Primitive) else ""
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind in _LIMITS:
        return value if isinstance(value, int) and -_LIMITS[kind] <= value < _LIMITS[kind] else None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _BEYOND.get(kind, math.inf) else None


def _unwrapped(declared: Node, name: str) -> tuple[Node, bool]:
    """The type behind ``["null", T]`` or ``[T, "null"]``, and whether it was nullable."""
    if not isinstance(declared, Union):
        return declared, False
    others = [branch for branch in declared.branches if branch != Primitive("null")]
    if len(others) != 1:
        raise SchemaRefused(f"field {name}: of unions, only null with one other type is supported")
    return others[0], len(declared.branches) == 2
