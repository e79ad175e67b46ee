"""The deciding statistic over blocks of the training period."""

import numpy as np
import pytest

from worker.drift.nulls import SPANS, null_of
from worker.drift.statistics import jensen_shannon

RNG = np.random.default_rng(1)
BLOCKS = RNG.multinomial(400, np.full(8, 1 / 8), 30)


def test_each_block_is_held_against_the_rest() -> None:
    """Values stand in the order of the blocks; empty blocks have none."""
    null = null_of(np.insert(BLOCKS, 7, 0, axis=0))
    assert null is not None
    rest = BLOCKS.sum(axis=0) - BLOCKS
    assert null.values == tuple(map(jensen_shannon, rest, BLOCKS))
    assert null.block_records == 400


@pytest.mark.parametrize("blocks", [np.zeros((5, 3), np.int64), np.array([[3, 4], [0, 0]])])
def test_one_block_says_nothing(blocks: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
    """Fewer than two blocks with records give no null."""
    assert null_of(blocks) is None


def test_smoothing_over_a_span_is_as_so_many_windows() -> None:
    """Of independent blocks the smoothed statistic is smaller by the square root of the span, for a span within them."""
    blocks = np.random.default_rng(2).multinomial(400, np.full(8, 1 / 8), 2_000)
    null = null_of(blocks)
    assert null is not None
    alone = np.sqrt(np.mean(np.square(null.values)))
    assert set(null.smoothed) == set(SPANS) - {1}
    for span, value in null.smoothed.items():
        assert value == pytest.approx(alone / np.sqrt(span), rel=0.15)


def test_smoothing_has_no_beginning() -> None:
    """Which block is the first does not matter to the smoothed statistic."""
    turned = null_of(np.roll(BLOCKS, 11, axis=0))
    null = null_of(BLOCKS)
    assert turned is not None
    assert null is not None
    assert turned.smoothed == pytest.approx(null.smoothed, rel=1e-3)
