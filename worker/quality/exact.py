"""Sums of floating-point numbers that are exact, so that they come to the same bits in any order and any grouping.

Every finite double is an integer multiple of 2 ** -1074. A sum is held as that integer; Python's integers don't
overflow. It is rounded once, when a figure is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

UNIT_BITS: Final = 1_074
LARGEST: Final = (2 - 2.0**-52) * 2.0**1023
_MANTISSA_BITS = 53
_HALF_BITS = 26


def finite(value: float) -> float:
    """What is too large, or no number, as the largest number that there is: it has to spoil a mean, not to end it."""
    return value if math.isfinite(value) else LARGEST


def exact_sum(values: Sequence[float]) -> int:
    """Of finite numbers, in units of 2 ** -1074."""
    mantissas, exponents = np.frexp(np.asarray(values, np.float64))
    whole = np.ldexp(mantissas, _MANTISSA_BITS).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents).tolist():
        part = whole[exponents == exponent]
        # In halves, so that 2 ** 36 of them can be added up in 64 bits.
        high, low = int((part >> _HALF_BITS).sum()), int((part & (2**_HALF_BITS - 1)).sum())
        shift = exponent - _MANTISSA_BITS + UNIT_BITS
        both = (high << _HALF_BITS) + low
        total += both << shift if shift >= 0 else both >> -shift  # a tiny number's last bits are zeros
    return total


def mean(total: int, count: int) -> float:
    """Of ``count`` numbers (1 or more), correctly rounded."""
    return total / (count << UNIT_BITS)


def to_text(total: int) -> str:
    """A short one: hexadecimal digits, ``p``, and how many zero bits follow."""
    zeros = max(0, (total & -total).bit_length() - 1)
    return f"{total >> zeros:x}p{zeros}"


def from_text(text: str) -> int:
    """Raises ValueError for what ``to_text`` did not write."""
    digits, _, zeros = text.partition("p")
    shift = int(zeros)
    if not 0 <= shift <= 4 * UNIT_BITS:
        raise ValueError("no exact sum")
    return int(digits, 16) << shift
