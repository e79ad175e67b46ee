"""The predictions and the labels of one partition: which belong together.

What counts is a function of the two partitions of Kafka alone, not of which is read sooner, nor in what batches, nor how
often anew:

- A prediction is in the window of its event time, or late and in none, by the rules of drift (``worker.drift.placing``).
  The first of an event, model version and variant counts.
- A label belongs to a prediction if it has its event id, and is dated no later than the horizon after the event (and no
  earlier than the event less the allowed skew). It is too late all the same if a label before it in its partition is dated
  later than that by more than the lateness. So, once labels have come so far, a prediction can be forgotten.
- The first label of a prediction, by offset, counts. Further ones are doubled; those that say something else contradict.
- A label that belongs to no prediction is unmatched. It is known once predictions have come so far that one it could
  belong to would be late.
- A label dated later than its Kafka timestamp by more than the skew is refused: it would make all others late.
- Where labels stop coming, the predictions' time goes on for them: ``labels_read`` says up to which time of the predictions all
  labels were read that there were by then. Labels, on the other hand, wait for predictions as long as it takes: a worker
  that is behind makes none of them unmatched.

``take_predictions`` and ``take_labels`` tell what is new, and what they told adds up to the same for the same two prefixes.
So a join that is read again from its position (``worker.quality.position``) holds what it held, and what it tells
meanwhile was told before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from worker.drift.placing import NO_TIME_MS, Placing
from worker.quality.changes import Cell, Changes
from worker.quality.position import Position, Way
from worker.quality.scoring import Actual, Predicted
from worker.records import IntArray

MARK_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class JoinRules:
    """In milliseconds. ``horizon_ms``: how long after its event a label may be dated; window, lateness and skew are drift's."""

    window_ms: int
    lateness_ms: int
    skew_ms: int
    horizon_ms: int

    @property
    def grace_ms(self) -> int:
        """Once predictions have come so far beyond a label, none that it could belong to is in time any more."""
        return self.window_ms + self.lateness_ms + self.skew_ms

    @property
    def lead_ms(self) -> int:
        """So far one topic may be read ahead of the other: it is what has to be held anyway."""
        return self.horizon_ms + self.grace_ms


@dataclass(frozen=True, slots=True)
class PredictionRows:
    """n predictions of one partition, in the order of their offsets; times in Unix milliseconds, int64 (n,)."""

    offsets: list[int]
    ids: list[bytes]
    times_ms: IntArray
    timestamps_ms: IntArray
    variants: list[tuple[str, str]]
    """Model version and variant."""
    said: list[Predicted]


@dataclass(frozen=True, slots=True)
class LabelRows:
    """n labels of one partition, in the order of their offsets; times in Unix milliseconds."""

    offsets: list[int]
    ids: list[bytes]
    times_ms: list[int]
    timestamps_ms: list[int]
    actual: list[Actual]


@dataclass(slots=True, eq=False)
class _Held:
    """A prediction. ``other``: a further one of the same event id."""

    cell: Cell
    time_ms: int
    said: Predicted
    actual: Actual | None = None
    other: _Held | None = None


@dataclass(slots=True, eq=False)
class _Label:
    """``before_ms``, ``after_ms``: the watermark of the labels before and after it."""

    offset: int
    id: bytes
    time_ms: int
    before_ms: int
    after_ms: int
    actual: Actual
    used: bool = False


@dataclass(slots=True)
class PartitionJoin:
    """``position`` is where it begins: at ``again`` of both topics.

    ``mark_every``: about so many offsets may be read again for nothing.
    """

    rules: JoinRules
    position: Position
    mark_every: int = MARK_EVERY
    predictions_ms: int = field(init=False)
    """The watermark of the predictions; ``labels_ms``: of the labels."""
    labels_ms: int = field(init=False)
    _read_ms: int = 0
    _held: dict[bytes, _Held] = field(default_factory=dict)
    _by_window: defaultdict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _first: dict[int, int] = field(default_factory=dict)  # the lowest offset of a prediction, by window
    _marks: deque[tuple[int, int]] = field(default_factory=deque)  # offsets, and the predictions' watermark before them
    _labels: deque[_Label] = field(default_factory=deque)
    _by_id: defaultdict[bytes, list[_Label]] = field(default_factory=lambda: defaultdict(list))
    _decided: int = 0  # so many labels at the front are known to be matched or unmatched
    _next: list[int] = field(init=False)  # of the predictions and of the labels

    def __post_init__(self) -> None:
        self.predictions_ms = self.position.predictions.watermark_ms
        self.labels_ms = self.position.labels.watermark_ms
        self._next = [self.position.predictions.again, self.position.labels.again]

    def __len__(self) -> int:
        """How many event ids are held."""
        return len(self._held)

    def take_predictions(self, rows: PredictionRows, next_offset: int, changes: Changes) -> None:
        """All predictions below ``next_offset`` that were not taken yet."""
        if rows.offsets:
            if not self._marks or rows.offsets[0] >= self._marks[-1][0] + self.mark_every:
                self._marks.append((rows.offsets[0], self.predictions_ms))
            places, starts = self._placed(rows)
            for i, place in enumerate(places):
                if place < len(starts):
                    self._hold(rows, i, starts[place], changes)
        self._next[0] = max(self._next[0], next_offset)
        self._forget(changes)

    def take_labels(self, rows: LabelRows, next_offset: int, changes: Changes) -> None:
        """All labels below ``next_offset`` that were not taken yet."""
        columns = (rows.offsets, rows.ids, rows.times_ms, rows.timestamps_ms, rows.actual)
        for offset, event, time_ms, stamp_ms, actual in zip(*columns, strict=True):
            if time_ms >= NO_TIME_MS or (stamp_ms > 0 and time_ms > stamp_ms + self.rules.skew_ms):
                changes.refused += 1
                continue
            before = self.labels_ms
            self.labels_ms = max(before, time_ms)
            label = _Label(offset, event, time_ms, before, self.labels_ms, actual)
            self._labels.append(label)
            self._by_id[event].append(label)
            for held in self._of(event):
                self._pair(held, label, changes)
        self._next[1] = max(self._next[1], next_offset)
        self._forget(changes)

    @property
    def complete_ms(self) -> int:
        """The time up to which labels are taken: their own, or that of predictions made when there were no more of them."""
        return max(self.labels_ms, self._read_ms)

    def labels_read(self, predictions_ms: int, changes: Changes) -> None:
        """When the predictions' watermark had been this, there were no labels but those that are taken by now."""
        self._read_ms = max(self._read_ms, predictions_ms)
        self._forget(changes)

    def reached(self) -> Position:
        """Where it has come to, and from where it must be read again to hold what it holds."""
        predictions, labels = self._next
        oldest = min(self._first.values(), default=predictions)
        while len(self._marks) > 1 and self._marks[1][0] <= oldest:
            self._marks.popleft()
        again, watermark = self._marks[0] if self._first else (predictions, self.predictions_ms)
        first = self._labels[0] if self._labels else None
        return Position(
            Way(predictions, again, watermark),
            Way(labels, first.offset, first.before_ms) if first else Way(labels, labels, self.labels_ms),
        )

    def _placed(self, rows: PredictionRows) -> tuple[list[int], list[int]]:
        """Of each prediction the number of its window, and where the windows begin; too high a number: in none."""
        rules = self.rules
        placing = Placing(rules.window_ms, rules.lateness_ms, rules.skew_ms)
        nowhere = np.zeros(len(rows.offsets), np.int64)
        placed = placing.place(nowhere, rows.times_ms, rows.timestamps_ms, {0: self.predictions_ms})
        self.predictions_ms = placed.watermarks[0]
        return placed.group.tolist(), [start for _, start in placed.places]

    def _hold(self, rows: PredictionRows, i: int, start_ms: int, changes: Changes) -> None:
        event, time_ms = rows.ids[i], int(rows.times_ms[i])
        cell = (*rows.variants[i], start_ms)
        if any(held.cell == cell and held.time_ms == time_ms for held in self._of(event)):
            return
        held = _Held(cell, time_ms, rows.said[i], other=self._held.get(event))
        self._held[event] = held
        self._by_window[start_ms].append(event)
        self._first.setdefault(start_ms, rows.offsets[i])
        changes.predicted(cell)
        for label in self._by_id.get(event, ()):
            self._pair(held, label, changes)

    def _pair(self, held: _Held, label: _Label, changes: Changes) -> None:
        rules, latest_ms = self.rules, held.time_ms + self.rules.horizon_ms
        in_time = held.time_ms - rules.skew_ms <= label.time_ms <= latest_ms
        if not in_time or label.before_ms > latest_ms + rules.lateness_ms:
            return
        label.used = True
        if held.actual is None:
            held.actual = label.actual
            changes.paired(held.cell, held.said, label.actual)
        else:
            changes.doubled(held.cell, contradicting=held.actual != label.actual)

    def _of(self, event: bytes) -> Iterator[_Held]:
        held = self._held.get(event)
        while held is not None:
            yield held
            held = held.other

    def _forget(self, changes: Changes) -> None:
        """What nothing can belong to any more."""
        rules = self.rules
        predictions_ms, labels_ms = self.predictions_ms, self.complete_ms
        while self._decided < len(self._labels):
            label = self._labels[self._decided]
            if label.after_ms + rules.grace_ms > predictions_ms:
                break
            self._decided += 1
            if not label.used:
                changes.unmatched[label.after_ms // rules.window_ms * rules.window_ms] += 1
        while self._decided and self._labels[0].after_ms + rules.lead_ms < labels_ms:
            self._forget_label(self._labels.popleft())
            self._decided -= 1
        for start_ms in list(self._by_window):
            end_ms = start_ms + rules.window_ms
            # Not before its labels are decided, either: read again without it, they would be unmatched.
            latest_ms = end_ms + rules.horizon_ms + rules.lateness_ms
            if latest_ms < labels_ms and latest_ms + rules.grace_ms <= predictions_ms:
                self._forget_window(start_ms)

    def _forget_label(self, label: _Label) -> None:
        ours = self._by_id[label.id]
        ours.remove(label)
        if not ours:
            del self._by_id[label.id]

    def _forget_window(self, start_ms: int) -> None:
        del self._first[start_ms]
        for event in self._by_window.pop(start_ms):
            first: _Held | None = None
            for held in [one for one in self._of(event) if one.cell[2] != start_ms]:
                held.other, first = first, held
            if first is None:
                self._held.pop(event, None)
            else:
                self._held[event] = first
