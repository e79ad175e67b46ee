"""How far a window may be from the reference where nothing has drifted: the null's upper quantile of the distance.

What a distance consists of then:

- **Sampling.** With n independent records in the window and N in the reference, 8 ln 2 / (1/n + 1/N) times the divergence
  in bits has a chi-squared distribution with as many degrees of freedom as there are bins less one (the second-order
  expansion of Lin's divergence; Menendez, Morales, Pardo and Pardo, J. Franklin Inst. 334, 1997). A bin in which few
  records are expected, and none is, counts for more than that: quantiles are raised for it, by up to ``FEW_COUNT_FOR``
  of two bins and by less of many (found by exact and simulated tails down to a level of 1e-6).
- **Wandering.** Records of one window have their hour, their weather and their batch in common. What blocks of the training
  period are apart beyond sampling is taken for a sum of squares of normal deviations in k directions, k from its mean
  and variance over the blocks (Satterthwaite, Biometrics Bulletin 2, 1946), but less by ``CAUTION_OF_DIRECTIONS``, and
  1 at least: fewer have the longer tail. Held against its mean of m blocks it has an F distribution with k and k m
  degrees of freedom: a predictive bound, the wider the fewer blocks there are.

Blocks that resemble those before them count for fewer, and the reference is itself off by a part of 1 / m. The bound
is the sum of both parts' quantiles, each at half of the level, which holds however the parts depend on one another.
Divergences are added as odds, D / (1 - D), since there is none above 1. A window with fewer records than the blocks had
wanders more: as if all of it came of few records.

Without blocks there is sampling alone: independence is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from worker.drift.profile import Null
from worker.records import FloatArray

LEAST_BLOCKS_OF_SPAN: Final = 1.5
"""A span is judged where there are so many times as many blocks."""
CAUTION: Final = 2.0
"""The dependence of blocks is measured on a few dozens of them, and taken for so many times as much."""
CAUTION_OF_DIRECTIONS: Final = 1.5
FEW_RECORDS: Final = 15.0
FEW_COUNT_FOR: Final = 0.6
_CHI_PER_BIT: Final = 8 * math.log(2)
_LARGEST = 1 - 1e-9
_MOST_DIRECTIONS = 100.0


def sampling_unit(records: FloatArray, reference: FloatArray | float) -> FloatArray:
    """The divergence in bits that sampling gives by degree of freedom, in the mean."""
    with np.errstate(divide="ignore"):
        unit: FloatArray = (1 / np.asarray(records, np.float64) + 1 / reference) / _CHI_PER_BIT
    return unit


def fewness(expected: FloatArray) -> FloatArray:
    """1 of a bin in which ``FEW_RECORDS`` or fewer are expected, less the more they are; 0 where none ever is."""
    with np.errstate(divide="ignore"):
        few: FloatArray = np.where(expected > 0, np.minimum(1, FEW_RECORDS / expected), 0.0)
    return few


class Bounds:
    """Of several judged series for windows smoothed over ``span``; arrays are by judged series."""

    def __init__(
        self, span: int, nulls: Sequence[Null | None], freedom: FloatArray, reference: FloatArray, level: float
    ) -> None:
        self._freedom, self._reference = freedom, reference
        known = np.array([null is not None for null in nulls])
        self._sampling = special.chdtri(freedom, np.where(known, level / 2, level))
        self._wander = np.array(
            [_wander(null, span, f, n, level) for null, f, n in zip(nulls, freedom, reference, strict=True)]
        )
        self._full_records = np.array([span * null.block_records if null else 0.0 for null in nulls])

    def distance(self, records: FloatArray, few: FloatArray) -> FloatArray:
        """For so many independent records in the window, and so many bins with few of them; 1 where a span is not judged."""
        raised = 1 + FEW_COUNT_FOR * np.minimum(1, few / self._freedom) / np.cbrt(self._freedom)
        sampling = raised * self._sampling * sampling_unit(records, self._reference)
        odds = sampling + self._wander * np.maximum(1, self._full_records / records)
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(odds), 1.0, np.sqrt(odds / (1 + odds)))


def _wander(null: Null | None, span: int, freedom: float, reference: float, level: float) -> float:
    """The quantile of the part that wanders, as odds of the divergence."""
    if null is None:
        return 0.0
    blocks = len(null.values)
    if blocks < LEAST_BLOCKS_OF_SPAN * span:
        return math.inf
    unit = float(sampling_unit(np.array(null.block_records), reference))
    odds = _odds(np.square(null.values))
    variance = max(0.0, float(_odds(np.mean(np.square(null.values)))) - freedom * unit)
    if variance == 0:
        return 0.0
    effective = max(2.0, blocks / dependence(np.log(np.maximum(odds, unit / 10))))
    spread = float(odds.var(ddof=1)) - 2 * freedom * unit**2
    directions = max(1.0, 2 * variance**2 / max(spread, variance**2 / _MOST_DIRECTIONS) / CAUTION_OF_DIRECTIONS)
    quantile = special.fdtri(directions, directions * effective, 1 - level / 2) * effective / (effective - 1)
    return float(variance * (_kept(null, span, freedom, reference, variance) + 1 / effective) * quantile)


def _kept(null: Null, span: int, freedom: float, reference: float, variance: float) -> float:
    """Which part of the variance smoothing leaves: as measured on the blocks, and no less than of independent ones."""
    if span == 1:
        return 1.0
    unit = max(0.0, 1 / (span * null.block_records) - 1 / reference) / _CHI_PER_BIT
    left = float(_odds(np.square(null.smoothed[span]))) - freedom * unit
    return min(1.0, max(1 / span, left / variance))


def dependence(values: FloatArray) -> float:
    """How many of such values in a row say as much of their mean as one independent value; at least 1.

    The ratio of variances of means of a fifth of the values, at all places (overlapping batch means: Meketon and
    Schmeiser, Proc. Winter Simulation Conf. 1984), times ``CAUTION``. A swing that comes and goes within such a fifth cancels.
    """
    count, length = len(values), -(-len(values) // 5)
    variance = float(values.var(ddof=1))
    if variance == 0:
        return 1.0
    sums = np.cumsum(np.concatenate(([0.0], values - values.mean())))
    means = (sums[length:] - sums[:-length]) / length
    ratio = length * float(np.mean(means**2)) * count / (count - length) / variance
    return max(1.0, CAUTION * ratio)


def _odds(divergence: ArrayLike) -> FloatArray:
    part = np.minimum(np.asarray(divergence, np.float64), _LARGEST)
    odds: FloatArray = part / (1 - part)
    return odds
