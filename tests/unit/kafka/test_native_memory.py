"""Scattered bytes of the process's own memory, gathered into one buffer."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.native.memory import address_of, gathered, words_at

# Where pieces begin, as gaps to the piece before, and how long they are.
PIECES = st.lists(st.tuples(st.sampled_from([0, 1, 40, 255, 256, 257, 5_000]), st.integers(0, 300)), max_size=12)


@given(PIECES, st.randoms(use_true_random=False))
def test_gathered(pieces: list[tuple[int, int]], random: object) -> None:
    """Every piece is found in the buffer at its address plus its shift, whatever lies between the pieces."""
    size = sum(gap + length for gap, length in pieces) + 1
    source = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    base, kept = address_of(source.data)
    begin, end, at = [], [], 0
    for gap, length in pieces:
        at += gap
        begin.append(base + at)
        at += length
        end.append(base + at)
    random.shuffle(order := list(range(len(pieces))))  # type: ignore[attr-defined]  # a random.Random
    first, last = np.array(begin, np.uint64)[order], np.array(end, np.uint64)[order]
    found = gathered(first, last)
    for a, b, shift in zip(first.tolist(), last.tolist(), found.shift.tolist(), strict=True):
        assert found.buffer[a + shift : b + shift] == source[a - base : b - base].tobytes()
    assert len(kept) == size


def test_empty_pieces_lie_at_the_start() -> None:
    """What is empty has a place within the buffer, too."""
    base, _kept = address_of(b"abc")
    begin = np.array([base + 1, base], np.uint64)
    found = gathered(begin, np.array([base + 1, base + 3], np.uint64))
    assert found.buffer == b"abc"
    assert (begin.view(np.int64) + found.shift).tolist() == [0, 0]


def test_words() -> None:
    """Words at scattered addresses, in the addresses' order."""
    memory = np.arange(1_000, dtype=np.uint64)
    addresses = np.array([5, 990, 0], np.uint64) * np.uint64(8) + np.uint64(memory.ctypes.data)
    assert words_at(addresses, 3).T.tolist() == [[5, 6, 7], [990, 991, 992], [0, 1, 2]]


def test_an_empty_buffer_is_somewhere() -> None:
    """librdkafka takes a null address for a null value, which an empty one is not."""
    assert address_of(b"")[0] > 0
