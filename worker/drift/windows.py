"""Sketches to whole windows: which records are in, when a window is over, and what was counted twice.

Rules:

- Of each input partition the next offset is known. A range at or beyond it is new, whatever lies between (compacted
  records, control records). One that ends before it was counted already and is passed over. One across it is counted, and
  each of its windows says by how many records it may be over; that happens in at-least-once mode alone.
- A range behind the next offset with a later watermark than the partition's is no repetition, for watermarks only go up
  with offsets: the partition began anew (the topic was created again), and is counted from there.
- The clock is the lowest watermark of the partitions that are not idle, and if all are, the highest of all. It never goes
  back. A partition of which nothing was heard holds it, unless it is idle.
- A window is over when the clock has passed its end by the lateness that the workers judge by. They count no record into
  it any more by then, so a window that closes holds the same records whoever counted them and whenever it is asked.
- What comes for a window that is over all the same, from a partition that was idle, is late: in the window of the clock.
- At most ``MAX_OPEN`` windows are open. Beyond that the earliest is closed before its time, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.records import IntArray

MAX_OPEN: Final = 1_000
NEVER: Final = -(2**63)


@dataclass(frozen=True, slots=True, order=True)
class WindowId:
    """In order of time; times in milliseconds since the epoch."""

    end_ms: int
    start_ms: int
    model_version: str
    profile_digest: str


@dataclass(slots=True)
class Window:
    """``counts`` (int64) by place in all series' bins, as long as the highest place that was counted asks."""

    lateness_ms: int
    records: int = 0
    late: int = 0
    over: int = 0
    early: bool = False
    counts: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, counted: WindowCounts) -> None:
        self.records += counted.records
        if len(counted.bins) and counted.bins[-1] >= len(self.counts):
            self.counts = np.concatenate((self.counts, np.zeros(counted.bins[-1] + 1 - len(self.counts), np.int64)))
        self.counts[counted.bins] += counted.counts


@dataclass(slots=True)
class _Partition:
    next: int
    watermark_ms: int


@dataclass(slots=True)
class Windows:
    """The open windows of one model, all its versions."""

    max_open: int = MAX_OPEN
    clock_ms: int = NEVER
    _closed_to_ms: int = NEVER
    _partitions: dict[int, _Partition] = field(default_factory=dict)
    _open: dict[WindowId, Window] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._open)

    def absorb(self, sketch: Sketch) -> None:
        repeated = {one.partition: self._advance(one) for one in sketch.ranges}
        for counted in sketch.windows:
            again = repeated.get(counted.partition, 0)
            if again is not None:
                self._count(sketch, counted, again)

    def close(self, idle: frozenset[int], partitions: int) -> Iterator[tuple[WindowId, Window]]:
        """The windows that are over, in order of their end. ``partitions``: how many the input topic has."""
        self.clock_ms = max(self.clock_ms, self._time(idle, range(partitions)))
        for key in sorted(self._open):
            if self._is_over(key.end_ms, self._open[key].lateness_ms):
                yield key, self._open.pop(key)
        for key in sorted(self._open)[: max(0, len(self._open) - self.max_open)]:
            self._closed_to_ms = max(self._closed_to_ms, key.end_ms)
            window = self._open.pop(key)
            window.early = True
            yield key, window

    def _advance(self, range_: Range) -> int | None:
        """How many of the range's records were counted before, at most; None if all of them."""
        known = self._partitions.setdefault(range_.partition, _Partition(range_.first, NEVER))
        if range_.next <= known.next:
            if range_.watermark_ms <= known.watermark_ms:
                return None
            known.next = range_.first
        again = max(0, known.next - range_.first)
        known.next = range_.next
        known.watermark_ms = max(known.watermark_ms, range_.watermark_ms)
        return again

    def _count(self, sketch: Sketch, counted: WindowCounts, again: int) -> None:
        window = self._window(sketch, counted.start_ms)
        if window is not None:
            window.add(counted)
            window.over += min(again, counted.records)
        late = counted.late if window is not None else counted.late + counted.records
        if late:
            # Its own window is open unless the partition was idle; that of the clock always is.
            length_ms = 1_000 * sketch.window_seconds
            now_ms = max(self.clock_ms, self._closed_to_ms)
            holder = window or self._window(sketch, now_ms // length_ms * length_ms)
            assert holder is not None
            holder.late += late

    def _window(self, sketch: Sketch, start_ms: int) -> Window | None:
        """The window that begins there; None if it is over."""
        end_ms, lateness_ms = start_ms + 1_000 * sketch.window_seconds, 1_000 * sketch.lateness_seconds
        if self._is_over(end_ms, lateness_ms):
            return None
        key = WindowId(end_ms, start_ms, sketch.model_version, sketch.profile_digest)
        window = self._open.setdefault(key, Window(lateness_ms))
        window.lateness_ms = max(window.lateness_ms, lateness_ms)
        return window

    def _is_over(self, end_ms: int, lateness_ms: int) -> bool:
        return end_ms + lateness_ms <= self.clock_ms or end_ms <= self._closed_to_ms

    def _time(self, idle: frozenset[int], partitions: Iterable[int]) -> int:
        marks = {p: self._partitions[p].watermark_ms if p in self._partitions else NEVER for p in partitions}
        busy = [mark for partition, mark in marks.items() if partition not in idle]
        return min(busy) if busy else max(marks.values(), default=NEVER)

    def state(self) -> Any:
        """What JSON can hold, the same whenever the same was absorbed and closed."""
        return {
            "clock": self.clock_ms,
            "closed_to": self._closed_to_ms,
            "partitions": [[p, one.next, one.watermark_ms] for p, one in sorted(self._partitions.items())],
            "open": [_window_state(key, self._open[key]) for key in sorted(self._open)],
        }

    @staticmethod
    def of_state(state: Any, max_open: int = MAX_OPEN) -> Windows:
        return Windows(
            max_open,
            state["clock"],
            state["closed_to"],
            {partition: _Partition(next_, watermark) for partition, next_, watermark in state["partitions"]},
            dict(map(_window_of, state["open"])),
        )


def _window_state(key: WindowId, window: Window) -> list[Any]:
    numbers = [window.lateness_ms, window.records, window.late, window.over]
    return [key.end_ms, key.start_ms, key.model_version, key.profile_digest, *numbers, window.counts.tolist()]


def _window_of(state: list[Any]) -> tuple[WindowId, Window]:
    lateness, records, late, over, counts = state[4:]
    return WindowId(*state[:4]), Window(lateness, records, late, over, counts=np.array(counts, np.int64))
