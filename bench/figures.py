"""Several runs of the same to one figure and its noise."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from bench.processes import Figures


def median(runs: Sequence[Figures], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def quartiles(runs: Sequence[Figures], name: str) -> tuple[float, float]:
    """The middle half of the runs lies between them."""
    low, high = np.percentile([run[name] for run in runs], (25, 75)).tolist()
    return low, high


def spread(runs: Sequence[Figures], name: str) -> str:
    """The quartiles, as text."""
    low, high = quartiles(runs, name)
    return f"{low:,.0f}-{high:,.0f}"


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """By least squares, in units of y per unit of x."""
    fitted: float = np.polyfit(np.asarray(x, float), np.asarray(y, float), 1)[0]
    return float(fitted)
