"""Constraints that stand in the schema itself, in JSON Schema's words, on a record's field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LENGTHS = ("minLength", "maxLength")
_COUNTS = ("minItems", "maxItems")


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a field's values must satisfy; None stands for no such rule.

    ``null_policy``: ``refuse``, ``nan`` or ``impute``, the last with ``impute`` as the value. NaN and infinity are
    refused unless ``allow_nan``. Of an array, what is said of numbers is said of each item.
    """

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    enum: tuple[Any, ...] | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: re.Pattern[str] | None = None
    min_items: int | None = None
    max_items: int | None = None
    null_policy: str = "refuse"
    impute: float | str | None = None
    allow_nan: bool = False

    @property
    def bounds_numbers(self) -> bool:
        return any(
            bound is not None
            for bound in (self.minimum, self.maximum, self.exclusive_minimum, self.exclusive_maximum, self.enum)
        )

    @property
    def bounds_text(self) -> bool:
        return any(rule is not None for rule in (self.enum, self.min_length, self.max_length, self.pattern))


def parse_constraints(field: Mapping[str, Any], *, is_text: bool, is_array: bool = False) -> Constraints:
    """Constraints from the attributes of an Avro field. Raises ValueError, naming field and word."""
    name = field.get("name")
    numbers = {word: _number(field, word) for word in _NUMBERS if word in field}
    lengths = {word: _length(field, word) for word in _LENGTHS if word in field}
    counts = {word: _length(field, word) for word in _COUNTS if word in field}
    if is_text and numbers:
        raise ValueError(f"field {name}: {', '.join(numbers)} is for numbers")
    if not is_text and (lengths or "pattern" in field):
        raise ValueError(f"field {name}: minLength, maxLength and pattern are for strings")
    if counts and not is_array:
        raise ValueError(f"field {name}: minItems and maxItems are for arrays")
    if len(counts) == 2 and counts["minItems"] > counts["maxItems"]:
        raise ValueError(f"field {name}: minItems is above maxItems")
    policy, impute = _null_policy(field, is_text=is_text)
    if is_array and policy == "impute":
        raise ValueError(f"field {name}: nullPolicy of an array must be refuse or nan")
    return Constraints(
        minimum=numbers.get("minimum"),
        maximum=numbers.get("maximum"),
        exclusive_minimum=numbers.get("exclusiveMinimum"),
        exclusive_maximum=numbers.get("exclusiveMaximum"),
        enum=_enum(field),
        min_length=lengths.get("minLength"),
        max_length=lengths.get("maxLength"),
        pattern=_pattern(field),
        min_items=counts.get("minItems"),
        max_items=counts.get("maxItems"),
        null_policy=policy,
        impute=impute,
        allow_nan=_flag(field, "allowNaN"),
    )


def _number(field: Mapping[str, Any], word: str) -> float:
    value = field[word]
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ValueError(f"field {field.get('name')}: {word} must be a number")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _length(field: Mapping[str, Any], word: str) -> int:
    value = field[word]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"field {field.get('name')}: {word} must be a whole number")
    return value


def _enum(field: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if "enum" not in field:
        return None
    values = field["enum"]
    if not isinstance(values, list) or not values:
        raise ValueError(f"field {field.get('name')}: enum must be a list of allowed values")
    return tuple(values)


def _pattern(field: Mapping[str, Any]) -> re.Pattern[str] | None:
    if "pattern" not in field:
        return None
    try:
        return re.compile(field["pattern"])
    except (re.error, TypeError) as error:
        raise ValueError(f"field {field.get('name')}: pattern is no regular expression: {error}") from None


def _flag(field: Mapping[str, Any], word: str) -> bool:
    value = field.get(word, False)
    if not isinstance(value, bool):
        raise ValueError(f"field {field.get('name')}: {word} must be true or false")  # noqa: TRY004 - one error type
    return value


def _null_policy(field: Mapping[str, Any], *, is_text: bool) -> tuple[str, float | str | None]:
    policy = field.get("nullPolicy", "refuse")
    if policy in ("refuse", "nan"):
        return policy, None
    if isinstance(policy, str) and policy.startswith("impute:"):
        text = policy.removeprefix("impute:")
        try:
            return "impute", text if is_text else float(text)
        except ValueError:
            pass
    raise ValueError(f"field {field.get('name')}: nullPolicy must be refuse, nan or impute:<value>")
