"""Whether the model is wrong more often than it was: windows one after the other, until there is no doubt.

The null hypothesis: a prediction is wrong with a probability of at most p, whatever happened before. p is what held-out
rows allow for (an upper confidence limit of their error rate: Clopper and Pearson, Biometrika 26, 1934), plus the rise
that is tolerated.

Of a window with an error rate x the likelihood ratio of an error probability q > p to p is taken as if it held
``EVIDENCE`` predictions and no more (fewer, if it does): ((q / p) ** x ((1 - q) / (1 - p)) ** (1 - x)) ** EVIDENCE. Records of
one window are not independent, and a thousand of them in a storm are no thousand proofs. The ratio is convex in x, so under
the null its mean is at most 1 wherever a window falls into so many stretches of which each, given what was before it, is wrong
with a mean of at most p, however its records hang together (Hoeffding, J. American Statistical Association 58, 1963).

The ratios make Shiryaev-Roberts statistics, M = (M + 1) * ratio, one for each of several q; their mean is an e-detector, so
in the mean ``1 / level`` windows or more pass until it exceeds ``1 / level`` without cause (Shin, Ramdas and Rinaldo,
New England Journal of Statistics in Data Science 2, 2024): a false alarm in 1,000 windows, at a level of 0.001.

The score is log M / log(1 / level): an alarm above 1. It is held at ``HIGHEST_KEPT``, so that what is over ends soon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy import special

EVIDENCE: Final = 8
CONFIDENCE: Final = 0.99
HIGHEST_KEPT: Final = 1.05
ALTERNATIVES: Final = (0.05, 0.1, 0.2, 0.4, 0.7)
"""How far q is on the way from p to 1."""
_NEARLY = 1 - 1e-9

Evidence = tuple[float, ...]
"""M, for each of the alternatives."""
NONE: Final[Evidence] = (0.0,) * len(ALTERNATIVES)


@dataclass(frozen=True, slots=True)
class ErrorDetector:
    """``tolerated``: p. ``level``: false alarms a window, above 0 and below 1."""

    tolerated: float
    level: float

    @staticmethod
    def of(wrong: int, records: int, *, rise: float, level: float) -> ErrorDetector:
        """By ``wrong`` of ``records`` held-out rows."""
        return ErrorDetector(min(_NEARLY, upper_limit(wrong, records) + rise), level)

    @property
    def threshold(self) -> float:
        """Of log M."""
        return -math.log(self.level)

    def advance(self, evidence: Evidence, wrong: int, records: int) -> Evidence:
        """With one more window of ``records`` labelled predictions, one at least."""
        rate, weight, p = wrong / records, min(EVIDENCE, records), self.tolerated
        after = []
        for part, before in zip(ALTERNATIVES, evidence, strict=True):
            q = p + part * (1 - p)
            log_ratio = rate * math.log(q / p) + (1 - rate) * math.log((1 - q) / (1 - p))
            after.append((before + 1) * math.exp(weight * log_ratio))
        highest = math.exp(HIGHEST_KEPT * self.threshold)
        kept = min(1.0, highest / (math.fsum(after) / len(after)))
        return tuple(one * kept for one in after)

    def statistic(self, evidence: Evidence) -> float:
        """Log M, 0 or more."""
        return math.log(max(1.0, math.fsum(evidence) / len(evidence)))


def upper_limit(wrong: int, records: int) -> float:
    """Of the error probability, after so many were wrong: too low in one of a hundred cases."""
    return 1.0 if wrong >= records else float(special.betaincinv(wrong + 1, records - wrong, CONFIDENCE))
