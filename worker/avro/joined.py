"""Columns of several readings put under one another: a batch may hold records of several writer schemas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker.avro.cells import ReadColumn
from worker.columns import NumberColumn
from worker.columns.text import TextColumn
from worker.columns.vectors import VectorColumn
from worker.records import BoolArray


def joined(parts: Sequence[ReadColumn]) -> ReadColumn:
    """One column of all rows of ``parts`` (at least one), which are columns of one reader's field."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, NumberColumn):
        numbers = [part for part in parts if isinstance(part, NumberColumn)]
        return NumberColumn(np.concatenate([part.values for part in numbers]), _nulls(numbers))
    shifts = np.cumsum([0, *(len(part.pool) for part in parts if not isinstance(part, NumberColumn))])[:-1].tolist()
    if isinstance(first, VectorColumn):
        vectors = [part for part in parts if isinstance(part, VectorColumn)]
        return VectorColumn(
            np.concatenate([part.pool for part in vectors]),
            np.concatenate([part.start + shift for part, shift in zip(vectors, shifts, strict=True)]),
            np.concatenate([part.end + shift for part, shift in zip(vectors, shifts, strict=True)]),
            _nulls(vectors),
        )
    texts = [part for part in parts if isinstance(part, TextColumn)]
    return TextColumn(
        b"".join(part.pool for part in texts),
        np.concatenate([part.start + shift for part, shift in zip(texts, shifts, strict=True)]),
        np.concatenate([part.end + shift for part, shift in zip(texts, shifts, strict=True)]),
        _nulls(texts),
        first.is_bytes,
        all(part.is_ascii for part in texts),
    )


def _nulls(parts: Sequence[ReadColumn]) -> BoolArray | None:
    if all(part.null is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(part), np.bool_) if part.null is None else part.null for part in parts])
