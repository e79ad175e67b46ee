"""What a join has found since it was last asked, by window and variant of the model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.quality.scoring import Actual, Predicted, Scoring
from worker.quality.tally import CONTRADICTING, DOUBLED, PREDICTIONS, Tally

Cell = tuple[str, str, int]
"""Model version, variant, and where the window begins in Unix milliseconds."""


@dataclass(slots=True)
class Changes:
    """``unmatched``: labels, by the start of the window in which their time was. ``refused``: labels from the future."""

    counts: defaultdict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    pairs: defaultdict[Cell, list[tuple[Predicted, Actual]]] = field(default_factory=lambda: defaultdict(list))
    unmatched: Counter[int] = field(default_factory=Counter)
    refused: int = 0

    @property
    def something(self) -> bool:
        return bool(self.counts or self.pairs or self.unmatched)

    def predicted(self, cell: Cell) -> None:
        self.counts[cell][PREDICTIONS] += 1

    def paired(self, cell: Cell, said: Predicted, actual: Actual) -> None:
        self.pairs[cell].append((said, actual))

    def doubled(self, cell: Cell, *, contradicting: bool) -> None:
        self.counts[cell][DOUBLED] += 1
        if contradicting:
            self.counts[cell][CONTRADICTING] += 1

    def tallies(self, scoring: Scoring) -> Mapping[Cell, Tally]:
        """In order of the cells."""
        found: dict[Cell, Tally] = {}
        for cell in sorted(self.counts.keys() | self.pairs.keys()):
            tally = Tally(Counter(self.counts.get(cell, {})))
            tally.take(scoring, self.pairs.get(cell, ()))
            found[cell] = tally
        return found
