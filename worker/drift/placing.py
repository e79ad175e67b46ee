"""Which window each record is in, and how far event time has come in each partition.

A record's place follows from the records before it in its partition, in the order of their offsets, and from nothing
else: not from who read them, nor in what batches. Of a partition:

- the watermark is the latest event time so far, 0 before the first. An event dated later than its own Kafka timestamp plus
  the allowed skew does not move it;
- a record is late when its window's end plus the lateness is not after the watermark before it. So all before 1970 are;
- a record is ahead when its window begins after its Kafka timestamp plus the skew.

What is late or ahead is in no window. It is counted in the one in which the watermark before it stands; before the first
event, in that of its Kafka timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from worker.records import IntArray

FEW_RECORDS = 200
"""Up to so many are placed one by one, which then is quicker."""
NO_TIME_MS = 253_402_300_800_000
"""The year 10000: no event is dated so late."""
_EARLIEST_MS = -NO_TIME_MS
_NEAR = 64
Place = tuple[int, int]
"""A partition, and where a window of it begins in Unix milliseconds."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where n records are: ``places[group[i]]``, or in no window where ``group[i]`` is ``len(places)``; int64 (n,).

    A place may have no record. ``late``: how many are in no window, by the place where they are counted. ``watermarks``:
    after the records, of each partition that has any.
    """

    group: IntArray
    places: list[Place]
    late: dict[Place, int] = field(default_factory=dict)
    watermarks: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placing:
    """The windows' length, and what is allowed; all in milliseconds, lateness and skew 0 or more."""

    window_ms: int
    lateness_ms: int
    skew_ms: int

    def place(
        self, partition: IntArray, times_ms: IntArray, timestamps_ms: IntArray, watermarks: Mapping[int, int]
    ) -> Placed:
        """Records in the order of their offsets within each partition, with event times and Kafka's timestamps.

        A timestamp of 0 or less stands for none; then nothing is too far ahead. ``watermarks``: before them.
        """
        if len(partition) <= FEW_RECORDS:
            return self.place_by_record(partition, times_ms, timestamps_ms, watermarks)
        return self.place_by_column(partition, times_ms, timestamps_ms, watermarks)

    def place_by_record(
        self, partition: IntArray, times_ms: IntArray, timestamps_ms: IntArray, watermarks: Mapping[int, int]
    ) -> Placed:
        """As ``place``: the definition."""
        group: list[int] = []
        places: dict[Place, int] = {}
        window = self.window_ms
        placed = Placed(np.empty(0, np.int64), [])
        now, late = placed.watermarks, placed.late
        for one, time, stamp in zip(partition.tolist(), times_ms.tolist(), timestamps_ms.tolist(), strict=True):
            before = now.get(one)
            if before is None:
                before = now[one] = watermarks.get(one, 0)
            bound = min(stamp + self.skew_ms, NO_TIME_MS - 1) if stamp > 0 else NO_TIME_MS - 1
            start = time - time % window
            if start + window + self.lateness_ms <= before or start > bound:
                stands = before or max(0, min(stamp, NO_TIME_MS - 1))
                at = (one, stands - stands % window)
                late[at] = late.get(at, 0) + 1
                group.append(-1)
            else:
                group.append(places.setdefault((one, start), len(places)))
            if before < time <= bound:
                now[one] = time
        found = np.array(group, np.int64)
        found[found < 0] = len(places)
        return Placed(found, list(places), late, now)

    def place_by_column(
        self, partition: IntArray, times_ms: IntArray, timestamps_ms: IntArray, watermarks: Mapping[int, int]
    ) -> Placed:
        """As ``place``, whole partitions at a time."""
        placed = Placed(np.full(len(partition), -1, np.int64), [])
        times = np.clip(times_ms, _EARLIEST_MS, NO_TIME_MS)
        known = np.clip(timestamps_ms, 0, NO_TIME_MS - 1)
        bound = np.where(known > 0, np.minimum(known + self.skew_ms, NO_TIME_MS - 1), NO_TIME_MS - 1)
        for one, rows in _by_partition(partition) if len(partition) else ():
            at, own = times[rows], bound[rows]
            before = watermarks.get(one, 0)
            start = at - at % self.window_ms
            sane = at if (at <= own).all() else np.where(at <= own, at, 0)
            after = placed.watermarks[one] = max(before, int(sane.max()))
            ends = start + (self.window_ms + self.lateness_ms)
            if int(ends.min()) > after and (start <= own).all():
                self._spread(placed, one, rows, start)
                continue
            marks = np.maximum.accumulate(np.concatenate(([before], sane[:-1])))
            out = (ends <= marks) | (start > own)
            self._spread(placed, one, np.arange(len(partition))[rows][~out], start[~out])
            stands = np.where(marks[out] > 0, marks[out], known[rows][out])
            for begin, count in zip(*np.unique(stands - stands % self.window_ms, return_counts=True), strict=True):
                placed.late[one, int(begin)] = int(count)
        placed.group[placed.group < 0] = len(placed.places)
        return placed

    def _spread(self, placed: Placed, partition: int, rows: slice | IntArray, start: IntArray) -> None:
        """Put the rows into windows of the partition, which begin at ``start``."""
        if not len(start):
            return
        first, last, base = int(start.min()), int(start.max()), len(placed.places)
        count = (last - first) // self.window_ms + 1
        if count <= _NEAR:
            begins: list[int] = [first + i * self.window_ms for i in range(count)]
            of = (start - first) // self.window_ms
        else:
            different, of = np.unique(start, return_inverse=True)
            begins = different.tolist()
        placed.group[rows] = of.reshape(-1) + base
        placed.places.extend((partition, begin) for begin in begins)


def _by_partition(partition: IntArray) -> Iterator[tuple[int, slice | IntArray]]:
    """Each partition and its rows in their order: a stretch, where each partition's stand side by side."""
    begins = [0, *(np.flatnonzero(partition[1:] != partition[:-1]) + 1).tolist()]
    if len(begins) == len(set(partition[begins].tolist())):
        for begin, end in pairwise([*begins, len(partition)]):
            yield int(partition[begin]), slice(begin, end)
        return
    narrow = partition.astype(np.uint16) if int(partition.max()) < 2**16 else partition  # sorted much sooner
    order = np.argsort(narrow, kind="stable")
    ordered = partition[order]
    edges = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(order)]
    for begin, end in pairwise(edges):
        yield int(ordered[begin]), order[begin:end]
