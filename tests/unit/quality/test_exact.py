"""Exact sums: against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.quality.exact import UNIT_BITS, exact_sum, finite, from_text, mean, to_text

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30)


@given(NUMBERS)
def test_a_sum_is_exact(numbers: list[float]) -> None:
    """The sum is the rational one, tiny and huge numbers together."""
    assert Fraction(exact_sum(numbers), 2**UNIT_BITS) == sum(map(Fraction, numbers), Fraction())


@given(NUMBERS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_order_and_grouping_do_not_matter(numbers: list[float], random: object, cut: int) -> None:
    """Whatever is added to what first, the sum is the same integer."""
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert exact_sum(shuffled[:cut]) + exact_sum(shuffled[cut:]) == exact_sum(numbers)


@given(NUMBERS)
def test_a_text_gives_it_back(numbers: list[float]) -> None:
    """What stands in a sketch and in the monitor's state is the same sum."""
    total = exact_sum(numbers)
    assert from_text(to_text(total)) == total


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_mean_is_rounded_once(numbers: list[float]) -> None:
    """The mean is the double next to the true mean."""
    assert mean(exact_sum(numbers), len(numbers)) == float(sum(map(Fraction, numbers)) / len(numbers))


def test_many_of_one_size() -> None:
    """Sums over the range of 64 bits are exact, too."""
    assert exact_sum([1 - 2.0**-53] * 5_000) == exact_sum([5_000.0]) - 5_000 * exact_sum([2.0**-53])


@pytest.mark.parametrize("text", ["", "1", "p1", "1p-1", "1p99999999", "xp1"])
def test_a_damaged_text_is_refused(text: str) -> None:
    """No text makes a sum that it does not stand for, nor one that fills the memory."""
    with pytest.raises(ValueError, match=r".*"):
        from_text(text)


def test_no_number_spoils_a_mean() -> None:
    """Infinity and NaN become the largest number."""
    assert finite(1.5) == 1.5
    assert finite(math.inf) == finite(math.nan) > 1.7e308
