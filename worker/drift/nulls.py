"""How much a series varies by itself: the deciding statistic over the blocks of the training period.

Windows are looked at alone, and smoothed exponentially over a handful and over some dozens of them: a small shift that
stays is lost in the noise of one window, and not in theirs. Smoothing is of the histograms, so that deviations in
different directions cancel.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from worker.drift.profile import Null
from worker.drift.statistics import jensen_shannon_distances
from worker.records import FloatArray, IntArray

SPANS: Final = (1, 9, 39)
"""Over how many windows a look goes: the newest weighs 2 / (span + 1), the one before 1 - 2 / (span + 1) of that …

The smoothed histogram then varies as that of ``span`` windows' records together, if windows are independent.
"""


def newest_weight(span: int) -> float:
    return 2 / (span + 1)


def null_of(blocks: IntArray) -> Null | None:
    """Of counts by block (in the order of time) and bin. None where fewer than two blocks have a record.

    Each block is held against all the others. Smoothed ones are held against all: they are part of no block alone. The
    smoothing goes round, from the last block on to the first, so that each is the end of as long a past.
    """
    blocks = blocks[blocks.sum(axis=1) > 0]
    if len(blocks) < 2:
        return None
    total = blocks.sum(axis=0)
    values = jensen_shannon_distances(total - blocks, blocks)
    smoothed = {
        span: float(np.sqrt((jensen_shannon_distances(total, _smoothed(blocks, span)) ** 2).mean()))
        for span in SPANS
        if span > 1
    }
    return Null(tuple(values.tolist()), float(blocks.sum() / len(blocks)), smoothed)


def _smoothed(blocks: IntArray, span: int) -> FloatArray:
    kept = 1 - newest_weight(span)
    smoothed = np.zeros(blocks.shape)
    state = np.zeros(blocks.shape[1])
    rounds = 1 + int(np.ceil(5 * span / len(blocks)))
    for _ in range(rounds):
        for i, block in enumerate(blocks):
            state = kept * state + block
            smoothed[i] = state
    return smoothed
