"""A batch to one sketch: integers, so that merging is exact addition whoever counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from worker.columns import Columns, Scores
from worker.drift.binning import Binning
from worker.drift.placing import Placed, Placing
from worker.drift.profile import ReferenceProfile
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.records import IntArray, RecordBatch, TopicPartition

MOST_CELLS = 1_000_000
_NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What was predicted of a batch, one row at least: its rows, ascending, with their event times in Unix milliseconds and their values.

    ``columns`` are as decoded: a null is missing, even where the schema imputes.
    """

    rows: IntArray
    times_ms: IntArray
    columns: Columns
    scores: Scores


@dataclass(frozen=True, slots=True)
class Counted:
    """A sketch, and the watermarks after its records, by the number of the partition."""

    sketch: Sketch
    watermarks: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts by one profile; ``profile_digest`` is the sha256 of its file.

    ``most_cells`` counts of 8 bytes are held at a time, however many windows a batch has records of.
    """

    profile: ReferenceProfile
    profile_digest: str
    model_name: str
    model_version: str
    lateness_seconds: int
    skew_seconds: float
    most_cells: int = MOST_CELLS
    binning: Binning = field(init=False)
    placing: Placing = field(init=False)

    def __post_init__(self) -> None:
        window_ms, skew_ms = self.profile.window_seconds * 1_000, round(self.skew_seconds * 1_000)
        object.__setattr__(self, "binning", Binning(self.profile))
        object.__setattr__(self, "placing", Placing(window_ms, self.lateness_seconds * 1_000, skew_ms))

    def count(
        self, batch: RecordBatch, predicted: Predictions | None, watermarks: Mapping[TopicPartition, int]
    ) -> Counted:
        """The batch's sketch; ``watermarks`` are of its partitions before it, 0 where there is none.

        Records that were not predicted are covered by the sketch's ranges, and are in no window.
        """
        first, after = batch.first_offsets(), batch.next_offsets()
        marks = {tp: watermarks.get(tp, 0) for tp in first}
        windows: tuple[WindowCounts, ...] = ()
        if predicted is not None:
            partition, stamps, rows = batch.partition, batch.timestamp_ms, predicted.rows
            if len(rows) < len(batch):
                partition, stamps = partition[rows], stamps[rows]
            before = {tp.partition: mark for tp, mark in marks.items()}
            placed = self.placing.place(partition, predicted.times_ms, stamps, before)
            marks |= {TopicPartition(batch.topic, partition): mark for partition, mark in placed.watermarks.items()}
            windows = tuple(self._windows(placed, predicted))
        ranges = tuple(Range(tp.partition, offset, after[tp], marks[tp]) for tp, offset in first.items())
        return Counted(self._sketch(batch.topic, ranges, windows), marks)

    def _sketch(self, topic: str, ranges: tuple[Range, ...], windows: tuple[WindowCounts, ...]) -> Sketch:
        return Sketch(
            model_name=self.model_name,
            model_version=self.model_version,
            profile_digest=self.profile_digest,
            window_seconds=self.profile.window_seconds,
            lateness_seconds=self.lateness_seconds,
            input_topic=topic,
            ranges=ranges,
            windows=windows,
        )

    def _windows(self, placed: Placed, predicted: Predictions) -> Iterator[WindowCounts]:
        """Those that have a record, or in which one was late."""
        late, groups = dict(placed.late), len(placed.places)
        records = np.bincount(placed.group, minlength=groups).tolist()
        for begin, counts in self._counts(placed.group, groups, predicted):
            cells, size = np.flatnonzero(counts), self.binning.size
            values = counts.ravel()[cells]
            bounds = np.searchsorted(cells, np.arange(len(counts) + 1) * size).tolist()
            for i, (first, last) in enumerate(pairwise(bounds)):
                if own := records[begin + i]:
                    place = placed.places[begin + i]
                    yield WindowCounts(
                        *place, own, cells[first:last] - i * size, values[first:last], late.pop(place, 0)
                    )
        for (partition, start_ms), count in late.items():
            yield WindowCounts(partition, start_ms, 0, _NOTHING, _NOTHING, count)

    def _counts(self, group: IntArray, groups: int, predicted: Predictions) -> Iterator[tuple[int, IntArray]]:
        """Counts of the groups, in stretches that begin at the given one; int64 (groups of the stretch, bins)."""
        most = max(1, self.most_cells // self.binning.size)
        if groups <= most:
            # Rows in no window go beside the others, and are forgotten.
            yield 0, self.binning.counts(predicted.columns, predicted.scores, group, groups + 1)[:groups]
            return
        for begin in range(0, groups, most):
            rows = np.flatnonzero((group >= begin) & (group < min(begin + most, groups)))
            columns, scores = predicted.columns.take(rows), predicted.scores.take(rows)
            yield begin, self.binning.counts(columns, scores, group[rows] - begin, min(most, groups - begin))
