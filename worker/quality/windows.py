"""Sketches to whole windows: what adds up, and when a window's labels are all there.

A partition has come as far as its labels are complete, and no further than its predictions plus the horizon. The clock is
the lowest of the partitions that are not idle, and if all are, the highest; it never goes back. A window is over when the
clock has passed its end by the horizon and the grace: then the joiners have told all of it.

What comes for a window that is over all the same, from a partition that was idle, is late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.drift.windows import NEVER
from worker.quality.sketch import Mark, QualitySketch
from worker.quality.tally import LABELLED, PREDICTIONS, Tally


@dataclass(frozen=True, slots=True, order=True)
class QualityWindowId:
    """In order of time; times in milliseconds since the epoch."""

    end_ms: int
    start_ms: int
    model_version: str
    variant: str


@dataclass(slots=True)
class Closed:
    """A window that is over. ``unmatched``: labels of its time, and ``late``: pairs that came after other windows were over."""

    tally: Tally
    unmatched: int
    late: int


@dataclass(slots=True)
class QualityWindows:
    """The open windows of one model, all its versions and variants. ``delay_ms``: horizon and grace together."""

    clock_ms: int = NEVER
    horizon_ms: int = 0
    delay_ms: int = 0
    _marks: dict[int, Mark] = field(default_factory=dict)
    _open: dict[QualityWindowId, Tally] = field(default_factory=dict)
    _unmatched: Counter[int] = field(default_factory=Counter)  # by the window's end
    _late: int = 0

    def __len__(self) -> int:
        return len(self._open)

    def absorb(self, sketch: QualitySketch) -> None:
        """Sketches of a partition have to come in the order in which they were committed."""
        length_ms = 1_000 * sketch.window_seconds
        self.horizon_ms = 1_000 * sketch.horizon_seconds
        self.delay_ms = self.horizon_ms + 1_000 * sketch.grace_seconds
        for mark in sketch.marks:
            self._marks[mark.partition] = mark
        for start_ms, count in sketch.unmatched.items():
            self._unmatched[start_ms + length_ms] += count
        for (version, variant, start_ms), tally in sketch.tallies.items():
            key = QualityWindowId(start_ms + length_ms, start_ms, version, variant)
            if self._is_over(key.end_ms):
                self._late += max(tally[LABELLED], tally[PREDICTIONS])
            else:
                self._open.setdefault(key, Tally()).add(tally)

    def close(self, idle: frozenset[int], partitions: int) -> Iterator[tuple[QualityWindowId, Closed]]:
        """The windows that are over, in order of their end.

        ``partitions``: how many the input topic has; ``idle``: those of which all is joined, as far as there is any at a moment.
        """
        self.clock_ms = max(self.clock_ms, self._time(idle, partitions))
        over = [key for key in sorted(self._open) if self._is_over(key.end_ms)]
        for end_ms in dict.fromkeys(key.end_ms for key in over):
            unmatched = sum(self._unmatched.pop(one) for one in list(self._unmatched) if one <= end_ms)
            late, self._late = self._late, 0
            for key in (key for key in over if key.end_ms == end_ms):
                yield key, Closed(self._open.pop(key), unmatched, late)

    def _is_over(self, end_ms: int) -> bool:
        return end_ms + self.delay_ms <= self.clock_ms

    def _time(self, idle: frozenset[int], partitions: int) -> int:
        marks = {p: self._marks.get(p, Mark(p, NEVER, NEVER)) for p in range(partitions)}
        busy = [
            min(mark.labels_ms, mark.predictions_ms + self.horizon_ms) for p, mark in marks.items() if p not in idle
        ]
        furthest = max((max(mark.predictions_ms, mark.labels_ms) for mark in marks.values()), default=NEVER)
        return min(busy) if busy else furthest

    def state(self) -> Any:
        """What JSON can hold, the same whenever the same was absorbed and closed."""
        return {
            "clock": self.clock_ms,
            "horizon": self.horizon_ms,
            "delay": self.delay_ms,
            "marks": [[m.partition, m.predictions_ms, m.labels_ms] for _, m in sorted(self._marks.items())],
            "unmatched": sorted(self._unmatched.items()),
            "late": self._late,
            "open": [
                [k.end_ms, k.start_ms, k.model_version, k.variant, self._open[k].state()] for k in sorted(self._open)
            ],
        }

    @staticmethod
    def of_state(state: Any) -> QualityWindows:
        marks = [Mark(*mark) for mark in state["marks"]]
        return QualityWindows(
            state["clock"],
            state["horizon"],
            state["delay"],
            {mark.partition: mark for mark in marks},
            {QualityWindowId(*key): Tally.of_state(tally) for *key, tally in state["open"]},
            Counter(dict(state["unmatched"])),
            state["late"],
        )
