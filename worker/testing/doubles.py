"""Stand-ins for the clock, the model and the observer: plain objects with a state that tests set and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from worker.columns import Columns, NumberColumn, Scores, VectorColumn
from worker.ports import BatchReport
from worker.records import BoolArray, FloatArray, TopicPartition

RowMask = Callable[[Columns], BoolArray]


@dataclass(slots=True)
class ManualClock:
    """Implements ``ports.Clock``; time passes only when it is told to."""

    now_seconds: float = 0.0

    def monotonic(self) -> float:
        return self.now_seconds

    def advance(self, seconds: float) -> None:
        """Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError("a monotonic clock never goes back")
        self.now_seconds += seconds


@dataclass(slots=True)
class StubPredictor:
    """Implements ``ports.Predictor``: a row's score is its numbers' sum squashed into 0 to 1, whatever surrounds it.

    ``poison`` and ``not_finite`` pick, by columns, the rows that it raises on or answers NaN for; ``fails_always``
    makes it raise whatever it is given; ``missing_rows`` leaves so many answers out. ``sound`` is what its golden rows
    say. ``calls`` holds the number of rows of each call, in order.
    """

    poison: RowMask | None = None
    not_finite: RowMask | None = None
    fails_always: bool = False
    missing_rows: int = 0
    sound: bool = True
    calls: list[int] = field(default_factory=list)

    def predict(self, columns: Columns) -> Scores:
        """Raises ValueError on a poison row."""
        self.calls.append(len(columns))
        if self.fails_always or (self.poison is not None and self.poison(columns).any()):
            raise ValueError("the stub was told to fail")
        score = squashed_sum(columns)
        if self.not_finite is not None:
            score[self.not_finite(columns)] = np.nan
        score = score[: len(score) - self.missing_rows]
        label = (score > 0.5).astype(np.int64)  # NaN is not above
        return Scores(score, ("no", "yes"), label, np.column_stack([1 - score, score]))

    def is_sound(self) -> bool:
        return self.sound


def squashed_sum(columns: Columns) -> FloatArray:
    """0.5 + atan(sum / 100) / pi of each row's numbers, null as 0, vectors' items included; float64 of shape (n,)."""
    total = np.zeros(len(columns))
    for _, column in sorted(columns.by_name.items()):
        if isinstance(column, NumberColumn):
            total += np.nan_to_num(column.floats())
        elif isinstance(column, VectorColumn):
            rows = np.repeat(np.arange(len(column)), column.lengths())
            total += np.bincount(rows, np.nan_to_num(column.items()), len(column))
    score: FloatArray = 0.5 + np.arctan(total / 100) / np.pi
    return score


@dataclass(slots=True)
class RecordingObserver:
    """Implements ``ports.Observer``: keeps what it was told; ``events`` holds the names of the calls, in order."""

    events: list[str] = field(default_factory=list)
    reports: list[BatchReport] = field(default_factory=list)
    aborts: list[Exception] = field(default_factory=list)
    partitions: int = 0
    lag: Mapping[TopicPartition, int] = field(default_factory=dict)

    def started(self) -> None:
        self.events.append("started")

    def progressed(self) -> None:
        self.events.append("progressed")

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        self.events.append("lagging")
        self.lag = lag

    def delivered(self, report: BatchReport) -> None:
        self.events.append("delivered")
        self.reports.append(report)

    def aborted(self, error: Exception) -> None:
        self.events.append("aborted")
        self.aborts.append(error)

    def assignment(self, partitions: int) -> None:
        self.events.append("assignment")
        self.partitions = partitions

    def stopped(self) -> None:
        self.events.append("stopped")
