"""Other statistics of a window, for people who know them; none of them is judged."""

from __future__ import annotations

import math

import numpy as np

from worker.drift import statistics
from worker.drift.judged import DISTRIBUTION
from worker.drift.layout import Judged
from worker.records import IntArray


def shown(judged: Judged, counts: IntArray) -> dict[str, float]:
    """By name. Of rates the rate now and in the reference; those of ordered bins leave NaN out."""
    reference = judged.reference
    if judged.what != DISTRIBUTION:
        return {"rate": _part(counts), "reference_rate": _part(reference)}
    statistic, p_value = statistics.chi_squared(reference, counts)
    found = {
        "psi": statistics.psi(reference, counts),
        "hellinger": statistics.hellinger(reference, counts),
        "chi_squared": statistic,
        "chi_squared_p": p_value,
    }
    if judged.series.kind == "numeric" and reference[1:].any() and counts[1:].any():
        ordered, edges = (reference[1:], counts[1:]), np.array(judged.series.edges)
        found["kolmogorov_smirnov"] = statistics.kolmogorov_smirnov(*ordered)
        found["wasserstein"] = statistics.wasserstein(*ordered, edges)
        found["mean_shift"] = statistics.mean_shift(*ordered, edges)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _part(counts: IntArray) -> float:
    return float(counts[0] / counts.sum())
