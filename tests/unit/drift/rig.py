"""A worker's counting, record by record and plainly, for what comes after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from worker.drift.sketch import Range, Sketch, WindowCounts

LENGTH_S, LATENESS_S = 10, 3
LENGTH_MS, LATENESS_MS = LENGTH_S * 1_000, LATENESS_S * 1_000
Records = Sequence[tuple[int, int]]
"""Of one partition: event times in seconds, and the place that each counts in."""


@dataclass
class Partition:
    """What a worker knows of one partition: the next offset and the watermark."""

    number: int
    next: int = 0
    watermark_ms: int = -1
    version: str = "1"
    on_time: Counter[tuple[int, int]] = field(default_factory=Counter)
    late: int = 0

    def sketch(self, records: Records, **fields: object) -> Sketch:
        """Count the next records."""
        first = self.next
        bins: dict[int, Counter[int]] = {}
        late: Counter[int] = Counter()
        for second, place in records:
            time_ms = second * 1_000
            start_ms = time_ms // LENGTH_MS * LENGTH_MS
            if start_ms + LENGTH_MS + LATENESS_MS <= self.watermark_ms:
                late[self.watermark_ms // LENGTH_MS * LENGTH_MS] += 1
                self.late += 1
            else:
                bins.setdefault(start_ms, Counter())[place] += 1
                self.on_time[start_ms, place] += 1
            self.watermark_ms = max(self.watermark_ms, time_ms)
        self.next += len(records)
        windows = tuple(counted(self.number, start, bins.get(start, {}), late[start]) for start in {*bins, *late})
        range_ = Range(self.number, first, self.next, self.watermark_ms)
        return sketch_of([range_], windows, **({"model_version": self.version} | fields))


def counted(partition: int, start_ms: int, bins: dict[int, int] | Counter[int], late: int = 0) -> WindowCounts:
    places = np.array(sorted(bins), np.int64)
    counts = np.array([bins[place] for place in sorted(bins)], np.int64)
    return WindowCounts(partition, start_ms, int(counts.sum()), places, counts, late)


def sketch_of(ranges: Iterable[Range], windows: Iterable[WindowCounts] = (), **fields: object) -> Sketch:
    known: dict[str, object] = {
        "model_name": "fraud",
        "model_version": "1",
        "profile_digest": "d1",
        "window_seconds": LENGTH_S,
        "lateness_seconds": LATENESS_S,
        "input_topic": "events",
    }
    return Sketch(**(known | fields), ranges=tuple(ranges), windows=tuple(windows))  # type: ignore[arg-type] # as given
