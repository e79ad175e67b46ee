"""Which fields may hold a breach: a glance at all columns together, before any rule is checked by itself.

In most batches nothing is wrong. Then what validating costs is the number of calls, not of records; so the extremes of
all number columns are found in one block, and only a field whose extremes break a bound is looked at more closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.avro.schema import Field, Kind
from worker.columns import Columns, NumberColumn, TextColumn
from worker.records import BoolArray, FloatArray

_FLOATS = (Kind.FLOAT, Kind.DOUBLE)
# As float64 or narrower, so that a block of float64 holds their values exactly.
_BLOCK_KINDS = (Kind.INT, *_FLOATS)
_LARGEST = float(np.finfo(np.float64).max)
_MOST_BYTES_A_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Screen:
    """The fields of one schema, those whose bounds stand in the block apart; ``low`` and ``high`` are inclusive."""

    fields: tuple[Field, ...]
    block: tuple[Field, ...]
    low: FloatArray
    high: FloatArray

    @staticmethod
    def of(fields: Sequence[Field]) -> Screen:
        block = tuple(field for field in fields if _in_block(field))
        bounds = np.array([_bounds(field) for field in block], np.float64).reshape(-1, 2)
        return Screen(tuple(fields), block, bounds[:, 0], bounds[:, 1])

    def suspects(self, columns: Columns) -> list[Field]:
        """The fields, in their order, of which a row may break a rule; those left out are sound in every row."""
        if not len(columns):
            return []
        cleared = {field.name for field, sound in zip(self.block, self._sound(columns).tolist(), strict=True) if sound}
        return [field for field in self.fields if field.name not in cleared and not _is_sound(field, columns)]

    def _sound(self, columns: Columns) -> BoolArray:
        """Which fields of the block are sound in every row, bool of shape (fields of the block,)."""
        block = np.empty((len(self.block), len(columns)))
        with np.errstate(invalid="ignore"):  # a signalling NaN says so when it is widened
            for row, low, field in zip(block, self.low, self.block, strict=True):
                column = columns[field.name]
                if not isinstance(column, NumberColumn):
                    row[:] = np.nan
                    continue
                row[:] = column.values
                if column.null is not None:
                    row[column.null] = np.nan if field.constraints.null_policy == "refuse" else low
        # An extreme among which there is a NaN is NaN, which is within no bounds.
        sound: BoolArray = (block.min(axis=1) >= self.low) & (block.max(axis=1) <= self.high)
        return sound


def _in_block(field: Field) -> bool:
    rules = field.constraints
    if rules.enum is not None or rules.allow_nan:
        return False
    return field.kind in _FLOATS or (field.kind in _BLOCK_KINDS and rules.bounds_numbers)


def _bounds(field: Field) -> tuple[float, float]:
    """Inclusive, and as they compare with the column's own type; without a bound, what is finite."""
    rules, low, high = field.constraints, -_LARGEST, _LARGEST
    narrow = np.float32 if field.kind is Kind.FLOAT else np.float64
    with np.errstate(over="ignore"):
        if rules.minimum is not None:
            low = max(low, float(narrow(rules.minimum)))
        if rules.exclusive_minimum is not None:
            low = max(low, float(np.nextafter(float(narrow(rules.exclusive_minimum)), np.inf)))
        if rules.maximum is not None:
            high = min(high, float(narrow(rules.maximum)))
        if rules.exclusive_maximum is not None:
            high = min(high, float(np.nextafter(float(narrow(rules.exclusive_maximum)), -np.inf)))
    return low, high


def _is_sound(field: Field, columns: Columns) -> bool:
    """Whether a field outside the block can be told to be sound by little."""
    column, rules = columns[field.name], field.constraints
    if column.null is not None:
        return False
    if isinstance(column, NumberColumn):
        return not rules.bounds_numbers and (column.values.dtype.kind != "f" or rules.allow_nan)
    if not isinstance(column, TextColumn):
        return False
    if not rules.bounds_text:
        return True
    if rules.enum is not None or rules.pattern is not None:
        return False
    shortest, longest = column.byte_range()
    if not (column.is_bytes or column.is_ascii):
        shortest //= _MOST_BYTES_A_CHARACTER
    return shortest >= (rules.min_length or 0) and (rules.max_length is None or longest <= rules.max_length)
