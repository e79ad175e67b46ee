"""Vectors as slices of a pool, however the slices lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.columns import VectorColumn

Vectors = list[list[int] | None]
VECTORS = st.lists(st.none() | st.lists(st.integers(-9, 9), max_size=4), max_size=12)


def shuffled(vectors: Vectors, order: list[int]) -> tuple[VectorColumn, Vectors]:
    """A column whose slices no longer lie in the order of its rows, and what it holds."""
    rows = np.array([i % len(vectors) for i in order] if vectors else [], np.int64)
    return VectorColumn.of(vectors, np.int64).take(rows), [vectors[i] for i in rows.tolist()]


@given(VECTORS, st.lists(st.integers(0, 99), max_size=12))
def test_items(vectors: Vectors, order: list[int]) -> None:
    """Items come row after row, whatever the order of the slices and however often one is used; a null has none."""
    column, held = shuffled(vectors, order)
    assert column.objects().tolist() == held
    assert column.items().tolist() == [item for vector in held for item in vector or ()]
    assert column.lengths().tolist() == [len(vector or ()) for vector in held]


@given(VECTORS, st.lists(st.integers(0, 99), max_size=12))
def test_rows_with(vectors: Vectors, order: list[int]) -> None:
    """A row has a chosen item when any of its own is chosen."""
    column, held = shuffled(vectors, order)
    assert column.rows_with(column.items() < 0).tolist() == [any(i < 0 for i in vector or ()) for vector in held]


def test_matrix_of_equal_vectors_is_a_view() -> None:
    """Vectors that lie one behind the other become a matrix without a copy."""
    column = VectorColumn.of([[1, 2], [3, 4]], np.float32)
    matrix = column.matrix(2)
    assert (matrix.dtype, matrix.tolist()) == (np.dtype(np.float32), [[1, 2], [3, 4]])
    assert np.shares_memory(matrix, column.pool)


def test_matrix_of_nulls() -> None:
    """A null is a row of NaN."""
    column = VectorColumn.of([None, [3, 4], None, [1, 2]], np.int32)
    assert repr(column.matrix(2).tolist()) == "[[nan, nan], [3.0, 4.0], [nan, nan], [1.0, 2.0]]"


@pytest.mark.parametrize("vectors", [[[1, 2], [3]], [[1], [2, 3, 4]], [None, []]])
def test_matrix_of_other_lengths(vectors: Any) -> None:
    """A vector of another length is never cut, filled up or shifted into its neighbour's row."""
    with pytest.raises(ValueError, match="not all vectors have 2 items"):
        VectorColumn.of(vectors, np.int64).matrix(2)
