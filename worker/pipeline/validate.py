"""Checks whole columns against the constraints in the schema; the first rule that a record breaks refuses it.

A refusal names the field and the rule, never the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.avro.schema import Field, RecordSchema
from worker.columns import Column, Columns, NumberColumn, TextColumn, VectorColumn
from worker.pipeline.screen import Screen
from worker.records import BoolArray, IntArray, Reason, Refusal, Stage


@dataclass(frozen=True, slots=True)
class Validated:
    """Columns of the rows that passed, nulls replaced where the schema imputes; ``rows`` are batch rows as given."""

    columns: Columns
    rows: IntArray
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class _Breach:
    """Rows (a mask over the columns) that break one rule of one field."""

    rows: BoolArray
    reason: Reason
    rule: str


class Validator:
    """The constraints of one schema, ready to be checked on columns."""

    def __init__(self, schema: RecordSchema) -> None:
        self._imputing = [field for field in schema.fields if field.constraints.null_policy == "impute"]
        self._screen = Screen.of(schema.fields)

    def validate(self, columns: Columns, rows: IntArray) -> Validated:
        """Check columns whose row i is batch row ``rows[i]``."""
        for field in self._imputing:
            columns = _imputed(field, columns)
        sound = np.ones(len(columns), np.bool_)
        refusals: list[Refusal] = []
        for field in self._screen.suspects(columns):
            for breach in _breaches(field, columns[field.name]):
                for i in np.flatnonzero(breach.rows & sound).tolist():
                    detail = f"{field.name}: {breach.rule}"
                    refusals.append(Refusal(int(rows[i]), Stage.VALIDATE, breach.reason, detail, field.name))
                sound &= ~breach.rows
        if sound.all():
            return Validated(columns, rows, ())
        kept = np.flatnonzero(sound)
        return Validated(columns.take(kept), rows[kept], tuple(refusals))


def _imputed(field: Field, columns: Columns) -> Columns:
    column, rules = columns[field.name], field.constraints
    if isinstance(column, VectorColumn) or column.null is None:
        return columns
    if isinstance(column, TextColumn):
        return columns.with_column(field.name, column.filled(str(rules.impute).encode()))
    values = column.values.copy()
    values[column.null] = rules.impute
    return columns.with_column(field.name, NumberColumn(values))


def _breaches(field: Field, column: Column) -> Iterator[_Breach]:
    if isinstance(column, VectorColumn):
        return
    if column.null is not None and field.constraints.null_policy == "refuse":
        yield _Breach(column.null, Reason.NULL_NOT_ALLOWED, "is null")
    if isinstance(column, NumberColumn):
        yield from _number_breaches(field, column)
    elif field.constraints.bounds_text:
        yield from _text_breaches(field, column)


def _number_breaches(field: Field, column: NumberColumn) -> Iterator[_Breach]:
    rules, values = field.constraints, column.values
    if values.dtype.kind == "f" and not rules.allow_nan:
        yield from _found(~np.isfinite(values), column, Reason.NOT_FINITE, "is NaN or infinite")
    with np.errstate(invalid="ignore"):
        if (low := rules.minimum) is not None:
            yield from _found(values < low, column, Reason.BELOW_MINIMUM, f"is below minimum {low}")
        if (low := rules.exclusive_minimum) is not None:
            yield from _found(values <= low, column, Reason.BELOW_MINIMUM, f"is not above exclusiveMinimum {low}")
        if (high := rules.maximum) is not None:
            yield from _found(values > high, column, Reason.ABOVE_MAXIMUM, f"is above maximum {high}")
        if (high := rules.exclusive_maximum) is not None:
            yield from _found(values >= high, column, Reason.ABOVE_MAXIMUM, f"is not below exclusiveMaximum {high}")
    if rules.enum is not None:
        yield from _found(~np.isin(values, rules.enum), column, Reason.NOT_IN_ENUM, "is not in enum")


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


def _found(
    wrong: npt.NDArray[np.bool_], column: NumberColumn | TextColumn, reason: Reason, rule: str
) -> Iterator[_Breach]:
    """The breach, if any; a null that passed its policy breaks no other rule."""
    if column.null is not None:
        wrong = wrong & ~column.null
    if wrong.any():
        yield _Breach(wrong, reason, rule)
