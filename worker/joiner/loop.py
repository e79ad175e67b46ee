"""The joiner's loop: take what there is of both topics, pair it, deliver.

Rules:

- What was found, the labels' offsets and where the joins have come to (in the metadata beside them) are delivered together:
  so after any end the next joiner begins exactly there.
- What a join holds is read again from the two topics when a partition comes to us; what it finds meanwhile was delivered
  before, and is thrown away.
- Of a topic that is far ahead of the other nothing is read for a while.
- After an abort all of our partitions are read anew, like somebody else's; and while a registry does not answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from worker.avro.quality_sketches import QualitySketchCodec
from worker.errors import ConfigurationError, DeliveryAborted, SchemaUnavailable, TransportError
from worker.joiner.reading import LabelReader, PredictionReader
from worker.ports import Clock, Pairs, PairSource, RecordSink
from worker.quality.changes import Changes
from worker.quality.join import JoinRules, LabelRows, PartitionJoin, PredictionRows
from worker.quality.position import Position, Way
from worker.quality.scoring import Scoring
from worker.quality.sketch import Mark, QualitySketch
from worker.records import Committable, OutgoingBatch, RecordBatch, Slices, TopicPartition

_LOG = logging.getLogger(__name__)
POLL_SECONDS = 0.2
DELIVER_SECONDS = 0.5
"""What is found within so long goes into one transaction."""
ASK_SECONDS = 1.0
MAX_ABORTS_IN_A_ROW = 5
NO_PREDICTIONS = PredictionRows([], [], np.empty(0, np.int64), np.empty(0, np.int64), [], [])
NO_LABELS = LabelRows([], [], [], [], [])


class JoinerObserver(Protocol):
    """Told what happened, for metrics and logs; must be quick and must not raise."""

    def started(self) -> None: ...

    def progressed(self) -> None:
        """The loop has gone round once, or another batch was read again."""
        ...

    def assignment(self, partitions: int) -> None: ...

    def refused(self, predictions: int, labels: int) -> None:
        """Records that are none; they are passed over."""
        ...

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        """What is left to read of our partitions, of both topics; told in every round."""
        ...

    def joined(self, sketch: QualitySketch, held: int, records: int) -> None:
        """Delivered; ``held``: how many events are held for labels to come, ``records``: read since the delivery before."""
        ...

    def aborted(self, error: Exception) -> None: ...

    def stopped(self) -> None: ...


@dataclass(frozen=True, slots=True)
class JoinSetting:
    """What is joined, by which rules, and where the sketches go to: to the first partition of their topic."""

    model: str
    rules: JoinRules
    scoring: Scoring
    labels_topic: str
    sketches: TopicPartition

    @property
    def rules_seconds(self) -> tuple[int, int, int]:
        """Window, horizon and grace."""
        rules = self.rules
        return rules.window_ms // 1_000, rules.horizon_ms // 1_000, -(-rules.grace_ms // 1_000)


@dataclass(slots=True)
class JoinLoop:
    source: PairSource
    sink: RecordSink
    predictions: PredictionReader
    labels: LabelReader
    codec: QualitySketchCodec
    setting: JoinSetting
    observer: JoinerObserver
    clock: Clock
    _joins: dict[int, PartitionJoin] = field(default_factory=dict)
    _delivered: dict[int, tuple[Position, Mark]] = field(default_factory=dict)
    # By partition: the labels' end, and the predictions' watermark before it was asked for.
    _asked: dict[int, tuple[int, int]] = field(default_factory=dict)
    _asked_at: float = float("-inf")
    _changes: Changes = field(default_factory=Changes)
    _delivered_at: float = 0.0
    _aborts: int = 0
    _records: int = 0
    _stopping: bool = False

    def run(self) -> None:
        """Go on until ``stop``. Raises a WorkerError for whatever ends it otherwise."""
        self.observer.started()
        try:
            while not self._stopping:
                self.run_once()
        finally:
            self.observer.stopped()
            self.source.close()
            self.sink.close()

    def stop(self) -> None:
        """Finish the turn, then end; safe to call from a signal handler."""
        self._stopping = True

    def run_once(self) -> None:
        pairs = self.source.poll(POLL_SECONDS)
        self.observer.progressed()
        try:
            self._turn(pairs)
        except SchemaUnavailable as error:
            self.observer.aborted(error)
            self._begin_anew()

    def _turn(self, pairs: Pairs) -> None:
        if gone := pairs.unassigned & self._joins.keys():
            if self._changes.something:
                # Some of it may be of partitions that are gone, and nothing is delivered in part.
                self._begin_anew()
                return
            for partition in gone:
                del self._joins[partition]
                self._delivered.pop(partition, None)
                self._asked.pop(partition, None)
        if pairs.assigned:
            self._take_over(pairs.assigned)
        if pairs.assigned or gone:
            self.observer.assignment(len(self._joins))
        self._absorb(pairs.predictions, pairs.labels, pairs.reached, self._changes)
        self._records += sum(len(batch) for batch in (pairs.predictions, pairs.labels) if batch is not None)
        self.observer.lagging(pairs.lag)
        self._complete(pairs.reached)
        self._hold(pairs.ended)
        if self._is_due():
            self._deliver(pairs.generation)

    def _take_over(self, assigned: Mapping[int, tuple[int, str]]) -> None:
        """Begin where the last joiner of these partitions ended, with what it held."""
        found = {p: self._position(p, *committed) for p, committed in assigned.items()}
        self._joins |= {p: PartitionJoin(self.setting.rules, position) for p, position in found.items()}
        predictions = {p: (at.predictions.again, at.predictions.next) for p, at in found.items()}
        labels = {p: (at.labels.again, at.labels.next) for p, at in found.items()}
        known = Changes()
        for batch in self.source.again(predictions, labels):
            self.observer.progressed()
            if self._stopping:
                return
            of_labels = batch.topic == self.setting.labels_topic
            self._absorb(None if of_labels else batch, batch if of_labels else None, {}, known)
        reached = {p: (at.predictions.next, at.labels.next) for p, at in found.items()}
        self._absorb(None, None, reached, known)
        # What was never committed is, soon: the monitor waits for what the joiners have not begun with.
        self._delivered |= {p: self._come_to(p) for p in found if assigned[p][1]}
        self.source.start(reached)

    def _begin_anew(self) -> None:
        self._joins.clear()
        self._delivered.clear()
        self._asked.clear()
        self._changes, self._records = Changes(), 0
        self.source.rewind()
        self.observer.assignment(0)

    def _position(self, partition: int, offset: int, metadata: str) -> Position:
        """Where the join of a partition begins. Raises ConfigurationError."""
        if offset < 0 or not metadata:
            predictions, labels = self.source.beginning(partition)
            return Position(Way.beginning(predictions), Way.beginning(labels if offset < 0 else offset))
        try:
            found = Position.read(metadata)
        except ValueError as error:
            raise ConfigurationError(
                f"what the joiners committed for {self.setting.labels_topic}[{partition}] can't be read: {error}",
                hint="a newer version wrote it? Deleting the joiners' group begins again, and counts everything twice",
            ) from None
        return found

    def _absorb(
        self,
        predictions: RecordBatch | None,
        labels: RecordBatch | None,
        reached: Mapping[int, tuple[int, int]],
        changes: Changes,
    ) -> None:
        said, no_predictions = self.predictions.read(predictions) if predictions is not None else ({}, 0)
        true, no_labels = self.labels.read(labels) if labels is not None else ({}, 0)
        if no_predictions or no_labels:
            self.observer.refused(no_predictions, no_labels)
        for partition in sorted(said.keys() | true.keys() | reached.keys()):
            join = self._joins.get(partition)
            if join is not None:
                ends = reached.get(partition, (0, 0))
                join.take_predictions(said.get(partition, NO_PREDICTIONS), ends[0], changes)
                join.take_labels(true.get(partition, NO_LABELS), ends[1], changes)

    def _complete(self, reached: Mapping[int, tuple[int, int]]) -> None:
        """Where predictions are ahead of the labels, ask whether there are more labels, and note when these are read."""
        for partition, (end, predictions_ms) in list(self._asked.items()):
            if reached.get(partition, (0, 0))[1] >= end:
                del self._asked[partition]
                self._joins[partition].labels_read(predictions_ms, self._changes)
        rules = self.setting.rules
        ahead = {p: self._ahead_ms(p) for p in self._joins if p not in self._asked}
        wanted = {p for p, by in ahead.items() if by > rules.window_ms}
        held = any(ahead[p] > rules.lead_ms for p in wanted)
        if wanted and (held or self.clock.monotonic() - self._asked_at >= ASK_SECONDS):
            self._asked_at = self.clock.monotonic()
            ends = self.source.labels_ends(wanted)
            self._asked |= {p: (end, self._joins[p].predictions_ms) for p, end in ends.items()}

    def _hold(self, no_predictions: frozenset[int]) -> None:
        """Neither topic is read far ahead of the other, which would have to be held in memory.

        Predictions wait for labels until it is known that there are no more; labels wait as long as there are predictions
        to read, and after that take up the place of those that don't come.
        """
        lead, ahead = self.setting.rules.lead_ms, {p: self._ahead_ms(p) for p in self._joins}
        self.source.hold(
            predictions=frozenset(p for p, by in ahead.items() if by > lead),
            labels=frozenset(p for p, by in ahead.items() if -by > lead and p not in no_predictions),
        )

    def _ahead_ms(self, partition: int) -> int:
        join = self._joins[partition]
        return join.predictions_ms - join.complete_ms

    def _is_due(self) -> bool:
        if self.clock.monotonic() - self._delivered_at < DELIVER_SECONDS:
            return False
        return any(self._delivered.get(p) != self._come_to(p) for p in self._joins)

    def _deliver(self, generation: object) -> None:
        reached = {p: self._come_to(p) for p in sorted(self._joins)}
        moved = {p: come_to for p, come_to in reached.items() if come_to != self._delivered.get(p)}
        sketch = self._sketch(tuple(mark for _, mark in moved.values()))
        places = {p: TopicPartition(self.setting.labels_topic, p) for p in moved}
        committable = Committable(
            {places[p]: position.labels.next for p, (position, _) in moved.items()},
            {places[p]: position.text() for p, (position, _) in moved.items()},
            generation,
        )
        key, value = Slices.of([self.setting.model.encode()]), Slices.of([self.codec.write(sketch)])
        place = self.setting.sketches
        try:
            self.sink.deliver([OutgoingBatch(place.topic, np.array([place.partition]), key, value)], committable)
        except DeliveryAborted as error:
            self._aborts += 1
            self.observer.aborted(error)
            if self._aborts >= MAX_ABORTS_IN_A_ROW:
                raise TransportError(f"{self._aborts} deliveries in a row were aborted: {error}") from error
            self._begin_anew()
            return
        self._aborts = 0
        self._delivered |= moved
        self._delivered_at = self.clock.monotonic()
        if refused := self._changes.refused:
            self.observer.refused(0, refused)
        self.observer.joined(sketch, sum(map(len, self._joins.values())), self._records)
        self._changes, self._records = Changes(), 0

    def _come_to(self, partition: int) -> tuple[Position, Mark]:
        join = self._joins[partition]
        return join.reached(), Mark(partition, join.predictions_ms, join.complete_ms)

    def _sketch(self, marks: tuple[Mark, ...]) -> QualitySketch:
        window, horizon, grace = self.setting.rules_seconds
        return QualitySketch(
            model_name=self.setting.model,
            window_seconds=window,
            horizon_seconds=horizon,
            grace_seconds=grace,
            marks=marks,
            unmatched=dict(sorted(self._changes.unmatched.items())),
            tallies=self._changes.tallies(self.setting.scoring),
        )
