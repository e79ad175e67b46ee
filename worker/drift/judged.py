"""What is judged of a series, each a histogram of its own made from the same counts."""

from __future__ import annotations

import numpy as np

from worker.drift.profile import FIRST_CATEGORY, MISSING, OTHER, Series
from worker.records import IntArray

DISTRIBUTION, MISSING_RATE, UNSEEN_RATE = "distribution", "missing", "unseen"


def judged(series: Series, counts: IntArray) -> dict[str, IntArray]:
    """From counts by bin (the last axis) those by what is judged.

    ``distribution``: of the values that are there. ``missing``: those that are missing, and those that are there.
    ``unseen``, of categories alone: values that the reference does not know, and those that it does.
    """
    there = counts[..., series.regular]
    found = {DISTRIBUTION: there, MISSING_RATE: _two(counts[..., MISSING], there.sum(-1))}
    if series.kind == "category":
        found[UNSEEN_RATE] = _two(counts[..., OTHER], counts[..., FIRST_CATEGORY:].sum(-1))
    return found


def _two(one: IntArray, other: IntArray) -> IntArray:
    return np.stack([one, other], axis=-1)
