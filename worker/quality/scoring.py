"""A prediction beside what was true: how far off it was, in each of the usual measures.

One pair at a time, in scalar arithmetic: so a pair's measures are the same bits whatever pairs came with it.

- log loss: -ln of the probability that the model gave to the true class (Good, J. Royal Statistical Society B 14, 1952),
  which is taken for at least 2 ** -52, as scikit-learn does;
- Brier: the squared difference of probability and outcome (Brier, Monthly Weather Review 78, 1950): of the positive class
  alone for two classes, summed over all for more;
- calibration: ten bins of equal width of the probability (for more than two classes, of the predicted one), in each how
  often it came true (Naeini, Cooper and Hauskrecht, AAAI 2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from worker.quality.exact import finite

Task = Literal["binary", "multiclass", "regression"]
Actual = int | float
"""What was true: the index of a class, or a number."""

BINS: Final = 10
_EPSILON: Final = 2.0**-52
Count = Callable[[str], None]
Value = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was said: ``label`` is an index into the classes (-1: none of them), ``score`` and ``probabilities`` as published.

    ``probabilities`` are needed with more than two classes alone.
    """

    label: int
    score: float
    probabilities: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Scoring:
    """``classes`` in the order of the probabilities; ``positive`` is one of them where there are two.

    ``limit``: a prediction that is further from the truth than this breaks the rule. ``wrong_beyond``: a regression is wrong
    when it is further off than this.
    """

    task: Task
    classes: tuple[str, ...] = ()
    positive: str | None = None
    limit: float = 0.1
    wrong_beyond: float = math.inf

    @property
    def positive_index(self) -> int:
        """-1 where no class is the positive one."""
        return -1 if self.positive is None else self.classes.index(self.positive)

    def measure(self, said: Predicted, actual: Actual, count: Count, value: Value) -> None:
        """Tell of one pair what is to be counted and what is to be added up, by name."""
        count("labelled")
        if self.task == "regression":
            self._regression(said, actual, count, value)
            return
        count(confusion(said.label, int(actual)))
        if said.label != actual:
            count("wrong")
        if self.task == "binary":
            self._binary(said, actual == self.positive_index, count, value)
        else:
            self._multiclass(said, int(actual), count, value)

    def _binary(self, said: Predicted, came_true: bool, count: Count, value: Value) -> None:
        off = abs(said.score - came_true)
        value("log_loss", _log_loss(said.score if came_true else 1 - said.score))
        value("brier", finite(off * off))
        self._rule(off, count)
        _calibrate(said.score, came_true, count, value)

    def _multiclass(self, said: Predicted, actual: int, count: Count, value: Value) -> None:
        given = said.probabilities
        of_actual = given[actual] if actual < len(given) else 0.0
        value("log_loss", _log_loss(of_actual))
        value("brier", finite(math.fsum((p - (i == actual)) ** 2 for i, p in enumerate(given))))
        self._rule(1 - of_actual, count)
        _calibrate(said.score, said.label == actual, count, value)

    def _regression(self, said: Predicted, actual: float, count: Count, value: Value) -> None:
        off = abs(said.score - actual)
        value("absolute", finite(off))
        value("squared", finite(off * off))
        if not off <= self.wrong_beyond:
            count("wrong")
        self._rule(off, count)

    def _rule(self, off: float, count: Count) -> None:
        if not off <= self.limit:
            count("beyond")


def confusion(predicted: int, actual: int) -> str:
    """The name under which that pair of classes is counted."""
    return f"class {predicted} for {actual}"


def calibration_bin(number: int) -> str:
    return f"bin {number}"


def _log_loss(probability: float) -> float:
    return -math.log(min(max(probability, _EPSILON), 1 - _EPSILON))


def _calibrate(probability: float, came_true: bool, count: Count, value: Value) -> None:
    name = calibration_bin(min(BINS - 1, max(0, int(probability * BINS))) if math.isfinite(probability) else 0)
    count(name)
    if came_true:
        count(f"{name} came true")
    value(name, finite(probability))


def spellings(classes: Sequence[str]) -> Mapping[str, int]:
    """How a class may be written: a file has ``1``, ``1.0`` or ``true`` for what the model calls ``1`` or ``True``."""
    found: dict[str, int] = {}
    for index, name in enumerate(classes):
        others: tuple[str, ...] = {"0": ("0.0", "False", "false"), "1": ("1.0", "True", "true")}.get(name, ())
        others += {"False": ("0", "false"), "True": ("1", "true")}.get(name, ())
        others += (f"{name}.0",) if name.lstrip("-").isdigit() else ()
        for spelling in others:
            found.setdefault(spelling, index)
    return found | {name: index for index, name in enumerate(classes)}
