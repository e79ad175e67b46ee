"""Checks whole columns against the constraints in the schema; the first rule that a record breaks refuses it.

A refusal names the field and the rule, never the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.constraints import Constraints
from worker.avro.schema import Field, RecordSchema
from worker.columns import Column, Columns, NumberColumn, TextColumn, VectorColumn
from worker.pipeline.screen import Screen
from worker.records import BoolArray, Cause, IntArray, Reason, Refusals, Stage, value_class


@value_class
class Validated:
    """Columns of the rows that passed, nulls replaced where the schema imputes; ``rows`` are batch rows as given."""

    columns: Columns
    rows: IntArray
    refusals: Refusals


@dataclass(frozen=True, slots=True)
class _Breach:
    """Rows (a mask over the columns) that break one rule of one field."""

    rows: BoolArray
    reason: Reason
    rule: str


class Validator:
    """The constraints of one schema, ready to be checked on columns; ``lengths``: of the model's vectors, by field."""

    def __init__(self, schema: RecordSchema, lengths: Mapping[str, int] | None = None) -> None:
        self._imputing = [field for field in schema.fields if field.constraints.null_policy == "impute"]
        self._screen = Screen.of(schema.fields)
        self._lengths = lengths or {}

    def validate(self, columns: Columns, rows: IntArray) -> Validated:
        """Check columns whose row i is batch row ``rows[i]``."""
        for field in self._imputing:
            columns = _imputed(field, columns)
        suspects = self._screen.suspects(columns)
        if not suspects:
            return Validated(columns, rows, Refusals.none())
        sound = np.ones(len(columns), np.bool_)
        refusals: list[Refusals] = []
        for field in suspects:
            for breach in _breaches(field, columns[field.name], self._lengths.get(field.name)):
                cause = Cause(Stage.VALIDATE, breach.reason, f"{field.name}: {breach.rule}", field.name)
                refusals.append(Refusals.alike(rows[breach.rows & sound], cause))
                sound &= ~breach.rows
        if sound.all():
            return Validated(columns, rows, Refusals.none())
        kept = np.flatnonzero(sound)
        return Validated(columns.take(kept), rows[kept], Refusals.joined(refusals))


def _imputed(field: Field, columns: Columns) -> Columns:
    # Of few records that is known without their columns.
    if None not in columns.few.get(field.name, (None,)):
        return columns
    column, rules = columns[field.name], field.constraints
    if column.null is None or isinstance(column, VectorColumn):
        return columns
    if isinstance(column, TextColumn):
        return columns.with_column(field.name, column.filled(str(rules.impute).encode()))
    values = column.values.copy()
    values[column.null] = rules.impute
    return columns.with_column(field.name, NumberColumn(values))


def _breaches(field: Field, column: Column, length: int | None) -> Iterator[_Breach]:
    if column.null is not None and field.constraints.null_policy == "refuse":
        yield _Breach(column.null, Reason.NULL_NOT_ALLOWED, "is null")
    if isinstance(column, NumberColumn):
        for wrong, reason, rule in _number_breaches(field.constraints, column.values):
            yield from _found(wrong, column, reason, f"is {rule}")
    elif isinstance(column, VectorColumn):
        yield from _vector_breaches(field.constraints, column, length)
    elif field.constraints.bounds_text:
        yield from _text_breaches(field, column)


def _number_breaches(
    rules: Constraints, values: npt.NDArray[Any]
) -> Iterator[tuple[npt.NDArray[np.bool_], Reason, str]]:
    """Which numbers break a rule, and which rule; a NaN that is allowed breaks no other."""
    if values.dtype.kind == "f" and not rules.allow_nan:
        yield ~np.isfinite(values), Reason.NOT_FINITE, "NaN or infinite"
    with np.errstate(invalid="ignore"):
        if (low := rules.minimum) is not None:
            yield values < low, Reason.BELOW_MINIMUM, f"below minimum {low}"
        if (low := rules.exclusive_minimum) is not None:
            yield values <= low, Reason.BELOW_MINIMUM, f"not above exclusiveMinimum {low}"
        if (high := rules.maximum) is not None:
            yield values > high, Reason.ABOVE_MAXIMUM, f"above maximum {high}"
        if (high := rules.exclusive_maximum) is not None:
            yield values >= high, Reason.ABOVE_MAXIMUM, f"not below exclusiveMaximum {high}"
    if rules.enum is not None:
        yield ~np.isin(values, rules.enum), Reason.NOT_IN_ENUM, "not in enum"


def _vector_breaches(rules: Constraints, column: VectorColumn, length: int | None) -> Iterator[_Breach]:
    lengths = column.lengths()
    too_long = np.zeros(len(column), np.bool_)
    if (fewest := rules.min_items) is not None:
        yield from _found(lengths < fewest, column, Reason.TOO_SHORT, f"has fewer items than minItems {fewest}")
    if (most := rules.max_items) is not None:
        too_long = lengths > most
        yield from _found(too_long, column, Reason.TOO_LONG, f"has more items than maxItems {most}")
    if length is not None:
        yield from _found(lengths < length, column, Reason.TOO_SHORT, f"has fewer items than the model's {length}")
        too_long |= lengths > length
        yield from _found(lengths > length, column, Reason.TOO_LONG, f"has more items than the model's {length}")
    # What is refused for its length is spared the rest: it may be most of the batch's bytes.
    rows = np.flatnonzero(~too_long)
    kept = column.take(rows)
    for items, reason, rule in _number_breaches(rules, kept.items()):
        if items.any():
            wrong = np.zeros(len(column), np.bool_)
            wrong[rows] = kept.rows_with(items)
            yield from _found(wrong, column, reason, f"has an item that is {rule}")


def _text_breaches(field: Field, column: TextColumn) -> Iterator[_Breach]:
    rules = field.constraints
    too_long = np.zeros(len(column), np.bool_)
    if rules.min_length is not None or rules.max_length is not None:
        lengths = column.lengths()
        if (low := rules.min_length) is not None:
            yield from _found(lengths < low, column, Reason.TOO_SHORT, f"is shorter than minLength {low}")
        if (high := rules.max_length) is not None:
            too_long = lengths > high
            yield from _found(too_long, column, Reason.TOO_LONG, f"is longer than maxLength {high}")
    if rules.enum is not None:
        known = column.equals_any([str(value).encode() for value in rules.enum])
        yield from _found(~known, column, Reason.NOT_IN_ENUM, "is not in enum")
    if (pattern := rules.pattern) is not None:
        # An expression can take very long on a long text; one that is refused for its length is spared it.
        rows = np.flatnonzero(~too_long)
        wrong = np.zeros(len(column), np.bool_)
        wrong[rows] = ~column.take(rows).matching(lambda text: pattern.search(str(text)) is not None)
        yield from _found(wrong, column, Reason.PATTERN_MISMATCH, "does not match pattern")


def _found(wrong: npt.NDArray[np.bool_], column: Column, reason: Reason, rule: str) -> Iterator[_Breach]:
    """The breach, if any; a null that passed its policy breaks no other rule."""
    if column.null is not None:
        wrong = wrong & ~column.null
    if wrong.any():
        yield _Breach(wrong, reason, rule)
