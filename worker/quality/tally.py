"""Measures added up: counts and exact sums by name, so that adding tallies is exact in any order; and the figures of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from worker.quality import exact
from worker.quality.scoring import BINS, Actual, Predicted, Scoring, calibration_bin, confusion

PREDICTIONS, LABELLED, WRONG, DOUBLED, CONTRADICTING, BEYOND = (
    *("predictions", "labelled", "wrong"),
    *("doubled", "contradicting", "beyond"),
)


@dataclass(slots=True)
class Tally:
    """``counts``: how many. ``sums``: in units of 2 ** -1074 (``worker.quality.exact``)."""

    counts: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def add(self, other: Tally) -> None:
        self.counts.update(other.counts)
        self.sums.update(other.sums)

    def take(self, scoring: Scoring, pairs: Iterable[tuple[Predicted, Actual]]) -> None:
        """Pairs of what was said and what was true."""
        counts, values = self.counts, defaultdict[str, list[float]](list)

        def count(name: str) -> None:
            counts[name] += 1

        def value(name: str, number: float) -> None:
            values[name].append(number)

        for said, actual in pairs:
            scoring.measure(said, actual, count, value)
        self.sums.update({name: exact.exact_sum(own) for name, own in values.items()})

    def mean(self, name: str, count: int) -> float:
        return exact.mean(self.sums[name], count)

    def state(self) -> Any:
        """What JSON can hold, the same for the same tally."""
        sums = {name: exact.to_text(total) for name, total in sorted(self.sums.items())}
        return [dict(sorted(self.counts.items())), sums]

    @staticmethod
    def of_state(state: Any) -> Tally:
        counts, sums = state
        return Tally(Counter(counts), Counter({name: exact.from_text(text) for name, text in sums.items()}))


def figures(tally: Tally, scoring: Scoring) -> dict[str, float]:
    """The usual figures, by name; those that have no meaning (a precision without a predicted positive) are left out."""
    labelled = tally[LABELLED]
    if not labelled:
        return {}
    found = {"error_rate": tally[WRONG] / labelled, "beyond_limit_rate": tally[BEYOND] / labelled}
    if scoring.task == "regression":
        return found | {"mae": tally.mean("absolute", labelled), "rmse": math.sqrt(tally.mean("squared", labelled))}
    found["accuracy"] = (labelled - tally[WRONG]) / labelled
    found["log_loss"] = tally.mean("log_loss", labelled)
    found["brier"] = tally.mean("brier", labelled)
    found["calibration_error"] = _calibration_error(tally, labelled)
    return found | (_positive(tally, scoring) if scoring.task == "binary" else _macro(tally, len(scoring.classes)))


def _calibration_error(tally: Tally, labelled: int) -> float:
    """The mean over all, of the difference between probability and frequency in a prediction's bin."""
    return math.fsum(
        count / labelled * abs(tally.mean(name, count) - tally[f"{name} came true"] / count)
        for name in map(calibration_bin, range(BINS))
        if (count := tally[name])
    )


def _positive(tally: Tally, scoring: Scoring) -> dict[str, float]:
    positive = scoring.positive_index
    hits = tally[confusion(positive, positive)]
    found = {
        "precision": (hits, hits + tally[confusion(positive, 1 - positive)]),
        "recall": (hits, sum(tally[confusion(said, positive)] for said in (-1, 0, 1))),
    }
    return {name: part / whole for name, (part, whole) in found.items() if whole}


def _macro(tally: Tally, classes: int) -> dict[str, float]:
    """Means over the classes that were predicted or true; 0 for one that was only the other."""
    precisions, recalls = [], []
    for one in range(classes):
        hits = tally[confusion(one, one)]
        said = sum(tally[confusion(one, actual)] for actual in range(classes))
        true = sum(tally[confusion(other, one)] for other in range(-1, classes))
        if said or true:
            precisions.append(hits / said if said else 0.0)
            recalls.append(hits / true if true else 0.0)
    return {
        "precision_macro": math.fsum(precisions) / len(precisions),
        "recall_macro": math.fsum(recalls) / len(recalls),
    }
