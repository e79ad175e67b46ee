"""Columns of plain Python values, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.schema import Field, Kind
from worker.columns import Column, NumberColumn, TextColumn, VectorColumn

_DTYPES = {
    Kind.BOOLEAN: np.bool_,
    Kind.INT: np.int32,
    Kind.LONG: np.int64,
    Kind.FLOAT: np.float32,
    Kind.DOUBLE: np.float64,
}


def column_of(field: Field, rows: Sequence[dict[str, Any]]) -> Column:
    """The column of one (dotted) field of decoded records."""
    items: list[Any] = list(rows)
    for part in field.name.split("."):
        items = [item[part] for item in items]
    if field.kind.is_text:
        return TextColumn.of(items, is_bytes=field.kind in (Kind.BYTES, Kind.FIXED))
    if field.items is not None:
        return VectorColumn.of(items, _DTYPES[field.items])
    null = np.array([item is None for item in items], np.bool_)
    values: npt.NDArray[Any] = np.array([0 if item is None else item for item in items], _DTYPES[field.kind])
    return NumberColumn(values, null if null.any() else None)
