"""Which fields may hold a breach: a glance at all columns together, before any rule is checked by itself.

In most batches nothing is wrong. Then what validating costs is the number of calls, not of records; so the extremes of
all number columns are found in one block, and only a field whose extremes break a bound is looked at more closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.avro.schema import Field, Kind
from worker.columns import FEW_ROWS, Columns, NumberColumn, TextColumn
from worker.records import BoolArray, FloatArray

_FLOATS = (Kind.FLOAT, Kind.DOUBLE)
# As float64 or narrower, so that a block of float64 holds their values exactly.
_BLOCK_KINDS = (Kind.INT, *_FLOATS)
_LARGEST = float(np.finfo(np.float64).max)
_MOST_BYTES_A_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Screen:
    """The fields of one schema, those whose bounds stand in the block apart; ``low`` and ``high`` are inclusive.

    ``bounds``: the same in plain numbers, and whether null is allowed; ``others``: the fields outside the block.
    """

    fields: tuple[Field, ...]
    block: tuple[Field, ...]
    low: FloatArray
    high: FloatArray
    bounds: tuple[tuple[str, float, float, bool], ...]
    others: tuple[_Other, ...]

    @staticmethod
    def of(fields: Sequence[Field]) -> Screen:
        block = tuple(field for field in fields if _in_block(field))
        bounds = np.array([_bounds(field) for field in block], np.float64).reshape(-1, 2)
        return Screen(
            fields=tuple(fields),
            block=block,
            low=bounds[:, 0],
            high=bounds[:, 1],
            bounds=tuple((field.name, *_bounds(field), field.constraints.null_policy != "refuse") for field in block),
            others=tuple(_Other.of(field) for field in fields if not _in_block(field)),
        )

    def suspects(self, columns: Columns) -> list[Field]:
        """The fields, in their order, of which a row may break a rule; those left out are sound in every row."""
        if not len(columns):
            return []
        wrong = {other.field.name for other in self.others if not other.is_sound(columns)}
        wrong |= self._wrong_of_few(columns) if len(columns) <= FEW_ROWS else self._wrong(columns)
        return [field for field in self.fields if field.name in wrong] if wrong else []

    def _wrong_of_few(self, columns: Columns) -> set[str]:
        """As ``_wrong``; it may name a field that is sound."""
        return {
            name
            for name, low, high, null_fits in self.bounds
            for value in columns.values(name)
            if not (null_fits if value is None else low <= value <= high)
        }

    def _wrong(self, columns: Columns) -> set[str]:
        """The block's fields that are not sound in every row."""
        return {field.name for field, sound in zip(self.block, self._sound(columns).tolist(), strict=True) if not sound}

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


@dataclass(frozen=True, slots=True)
class _Other:
    """A field outside the block. ``is_free``: nothing but null can break a rule; ``known``: the texts of its enum."""

    field: Field
    is_free: bool
    known: frozenset[bytes] | None
    has_lengths_only: bool

    @staticmethod
    def of(field: Field) -> _Other:
        rules = field.constraints
        if not field.kind.is_text:
            is_free = not rules.bounds_numbers and (field.kind not in _FLOATS or rules.allow_nan)
            return _Other(field, is_free and field.kind is not Kind.ARRAY, None, has_lengths_only=False)
        has_lengths = rules.min_length is not None or rules.max_length is not None
        known = None
        if rules.enum is not None and rules.pattern is None and not has_lengths:
            known = frozenset(str(value).encode() for value in rules.enum)
        has_lengths_only = has_lengths and rules.enum is None and rules.pattern is None
        return _Other(field, not rules.bounds_text, known, has_lengths_only)

    def is_sound(self, columns: Columns) -> bool:
        """Whether that can be told by little, for every row."""
        if len(columns) <= FEW_ROWS and self.field.kind is not Kind.ARRAY:
            return self._is_sound_of_few(columns.values(self.field.name))
        column = columns[self.field.name]
        if column.null is not None:
            return False
        if self.is_free or not isinstance(column, TextColumn):
            return self.is_free
        return self.has_lengths_only and self._fits_in_bytes(column)

    def _is_sound_of_few(self, values: Sequence[Any]) -> bool:
        if None in values:
            return self.is_free and self.field.constraints.null_policy != "refuse"
        if self.is_free:
            return True
        if self.known is not None:
            return all(value in self.known for value in values)
        if not self.has_lengths_only:
            return False
        lengths = [len(value.decode() if self.field.kind is Kind.STRING else value) for value in values]
        return self._fits(min(lengths), max(lengths))

    def _fits_in_bytes(self, column: TextColumn) -> bool:
        shortest, longest = column.byte_range()
        if not (column.is_bytes or column.is_ascii):
            shortest //= _MOST_BYTES_A_CHARACTER
        return self._fits(shortest, longest)

    def _fits(self, shortest: int, longest: int) -> bool:
        rules = self.field.constraints
        return shortest >= (rules.min_length or 0) and (rules.max_length is None or longest <= rules.max_length)
