"""What one transaction of a joiner adds to the windows: counts and exact sums, so that adding up is exact in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.quality.changes import Cell
from worker.quality.tally import Tally


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition's predictions have come, and up to when its labels are complete; Unix milliseconds."""

    partition: int
    predictions_ms: int
    labels_ms: int


@dataclass(frozen=True, slots=True)
class QualitySketch:
    """Of one model. The rules stand in it, so that who merges needs no settings in common with who joined.

    ``grace_seconds``: how much longer than the horizon a window needs until all of it is told. ``unmatched``: labels, by
    the start of the window in which their time was.
    """

    model_name: str
    window_seconds: int
    horizon_seconds: int
    grace_seconds: int
    marks: tuple[Mark, ...]
    unmatched: Mapping[int, int]
    tallies: Mapping[Cell, Tally]
