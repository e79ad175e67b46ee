"""The grid gives every value the bin that a search gives it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.drift.grid import Grid
from worker.drift.profile import BELOW, FIRST_NUMERIC, NAN
from worker.records import FloatArray

SPECIAL = (0.0, -0.0, 5e-324, -5e-324, 1e-310, 1.0, 1e16, 1e308, -1e308, math.inf, -math.inf, math.nan)
FINITE = st.floats(-1.7e308, 1.7e308) | st.floats(-3, 3) | st.integers(-20, 20).map(float)
EDGES = st.lists(FINITE, min_size=2, max_size=18, unique=True).map(sorted)


def by_search(edges: list[float], values: FloatArray) -> list[int]:
    """The definition: each bin with its lower edge, the last with both."""
    found = []
    for value in values.tolist():
        if math.isnan(value):
            found.append(NAN)
        elif value < edges[0]:
            found.append(BELOW)
        elif value > edges[-1]:
            found.append(FIRST_NUMERIC + len(edges) - 1)
        else:
            found.append(FIRST_NUMERIC + min(sum(edge <= value for edge in edges) - 1, len(edges) - 2))
    return found


@example(edges=[[0.0, 873.0, 874.0], [-1.0, 0.0, 3.1e-304, 1.0]], more=[])
@given(st.lists(EDGES, min_size=1, max_size=4), st.lists(FINITE, max_size=10))
def test_agrees_with_a_search(edges: list[list[float]], more: list[float]) -> None:
    """Every value, edges and their neighbours among them, is where the definition says; whatever the others' edges are."""
    own = [edge for one in edges for edge in one]
    values = np.array([*own, *np.nextafter(own, math.inf), *np.nextafter(own, -math.inf), *SPECIAL, *more])
    grid = Grid(edges, [1_000 * k for k in range(len(edges))])
    bins = grid.bins(np.tile(values, (len(edges), 1)))
    for k, one in enumerate(edges):
        assert (bins[k] - 1_000 * k).tolist() == by_search(one, values)


@pytest.mark.parametrize(
    "edges",
    [
        [1.0, math.nextafter(1.0, 2)],
        [1.0, 2.0, math.nextafter(2.0, 3)],
        [-1e308, -1e307, 0.0, 1e307, 1e308],
        [0.0, *(10.0**-k for k in range(300, -1, -20)), 1e6],
        [1e16 + 2 * k for k in range(10)],
    ],
    ids=["constant", "atom at the top", "as wide as can be", "crowded", "no finer than floats"],
)
def test_hard_edges(edges: list[float]) -> None:
    """Edges that a grid can't tell apart are told apart all the same."""
    values = np.array([*edges, *np.nextafter(edges, math.inf), *np.nextafter(edges, -math.inf), *SPECIAL])
    assert Grid([edges], [0]).bins(values[None, :])[0].tolist() == by_search(edges, values)
