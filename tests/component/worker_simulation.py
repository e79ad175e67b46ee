"""A broker, a group and several workers under a seeded schedule that may fail at every call's boundaries.

One thread, no time: a seed is a run, and a failing seed fails again. After every step the broker's own state is held
against the laws; at the end, with all faults gone, everything must have been done.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.component import counted_loans as counted
from tests.component.worker_rig import event, loan, pipeline, place_of, worker_of
from tests.support.drift import Row, added
from worker.errors import DeliveryAborted, Fenced, TransportError
from worker.pipeline.batching import BatchingPolicy
from worker.pipeline.process import Pipeline
from worker.ports import RecordSink
from worker.records import Record, TopicPartition
from worker.service import PredictionWorker
from worker.settings import Mode
from worker.testing import (
    InMemoryAtLeastOnceSink,
    InMemoryKafka,
    InMemorySink,
    InMemorySource,
    RecordingObserver,
    StubPredictor,
)
from worker.testing.faults import Call

INPUT, PREDICTIONS, LETTERS, SKETCHES, GROUP = "in", "predictions", "letters", "sketches", "group"
PARTITIONS = 3
SLOTS = 3
STEPS = 60
SETTLING_STEPS = 400
BATCHING = BatchingPolicy(1, max_batch_records=5, max_batch_bytes=1_000_000, poll_seconds=0)
# Encoded once: the simulation is not about encoding.
GOOD: dict[bytes | None, Row] = {
    loan(number, **values): counted.row_of(**values) for number, values in enumerate(counted.LOANS)
}
VALUES = [*GOOD, loan(2, age=66), loan(3, age=17), b"junk", None]
MOST_EARLIER_MS = 5 * counted.WINDOW_MS


class Violation(AssertionError):  # noqa: N818 - a verdict
    """A law was broken; the text says which, and where."""


class Killed(BaseException):
    """The process died here. No ``except Exception`` may catch it."""


MakeSource = Callable[[InMemoryKafka], InMemorySource]
MakeSink = Callable[[InMemoryKafka, str], RecordSink]


def plain_source(kafka: InMemoryKafka) -> InMemorySource:
    return InMemorySource(kafka, INPUT, GROUP)


def exactly_once(kafka: InMemoryKafka, transactional_id: str) -> RecordSink:
    return InMemorySink(kafka, GROUP, transactional_id)


def behind(kafka: InMemoryKafka, transactional_id: str) -> RecordSink:
    return InMemorySink(kafka, GROUP, transactional_id, behind=True)


def at_least_once(kafka: InMemoryKafka, _: str) -> RecordSink:
    return InMemoryAtLeastOnceSink(kafka, GROUP)


@dataclass(slots=True)
class Simulation:
    """``source`` and ``sink`` make the edges, so that mutants can stand in for them."""

    seed: int
    mode: Mode = "exactly-once"
    source: MakeSource = plain_source
    sink: MakeSink = exactly_once
    kafka: InMemoryKafka = field(default_factory=InMemoryKafka)
    random: random.Random = field(init=False)
    faults: Counter[str] = field(default_factory=Counter)
    _workers: dict[int, PredictionWorker] = field(default_factory=dict)
    _dead: list[InMemorySource] = field(default_factory=list)
    _committed: dict[TopicPartition, int] = field(default_factory=dict)
    _faulty: bool = True
    _nested: bool = False
    _time_ms: int = 1_000_000

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for topic in (INPUT, PREDICTIONS, LETTERS):
            self.kafka.create_topic(topic, PARTITIONS)
        self.kafka.create_topic(SKETCHES)
        self.kafka.on_every_call(self._schedule)

    def run(self) -> None:
        """Raises Violation."""
        for _ in range(STEPS):
            self._step()
            self._check()
        self._settle()
        self._check_done()

    def _step(self) -> None:
        roll = self.random.random()
        slot = self.random.randrange(SLOTS)
        if roll < 0.2:
            self._write(self.random.randint(1, 12))
        elif roll < 0.27 and slot in self._workers:
            self._leave(slot)
        elif roll < 0.30:
            self._expire()
        else:
            self._turn(slot)

    def _write(self, count: int) -> None:
        records = [self._event() for _ in range(count)]
        if self.random.random() < 0.2:
            upstream = self.kafka.producer("upstream")
            upstream.begin()
            # Not through the producer, whose calls may fail: upstream is not what is simulated.
            transaction = upstream._open
            for record in records:
                self.kafka.log(TopicPartition(INPUT, record.partition)).append(record, transaction)
            upstream.time_out()
        else:
            self.kafka.append(INPUT, records)

    def _event(self) -> Record:
        """Mostly later than the one before, sometimes much earlier."""
        self._time_ms += self.random.randrange(counted.WINDOW_MS)
        earlier = self.random.randrange(MOST_EARLIER_MS) if self.random.random() < 0.3 else 0
        at, partition = self._time_ms - earlier, self.random.randrange(PARTITIONS)
        return event(self.random.choice(VALUES), partition=partition, timestamp_ms=at)

    def _turn(self, slot: int) -> None:
        """One round of a worker's loop; whatever ends it ends its process, which another replaces."""
        if slot not in self._workers:
            self._workers[slot] = self._start(slot)
        worker = self._workers[slot]
        try:
            worker.run_once()
        except Killed:
            self._die(slot)
        except Fenced as error:
            raise Violation(f"fenced, though no other process has slot {slot}: {error}") from error
        except TransportError:
            if self.random.random() < 0.5:
                self._leave(slot)
            else:
                self._die(slot)

    def _start(self, slot: int) -> PredictionWorker:
        return worker_of(
            self.source(self.kafka),
            self.sink(self.kafka, f"slot-{slot}"),
            _pipeline(),
            batching=BATCHING,
            observer=RecordingObserver(),
            clock=self.kafka.clock,
        )

    def _leave(self, slot: int) -> None:
        if (worker := self._workers.pop(slot, None)) is not None:
            worker.source.close()

    def _die(self, slot: int) -> None:
        """Its session stays until it times out, its transaction until its slot is taken again."""
        worker = self._workers.pop(slot, None)
        if worker is not None and isinstance(worker.source, InMemorySource):
            self._dead.append(worker.source)

    def _expire(self) -> None:
        """A session times out: of a dead worker, or of a live one that was paused and is now a zombie."""
        live = [w.source for w in self._workers.values() if isinstance(w.source, InMemorySource)]
        candidates = self._dead + live
        if candidates:
            source = self.random.choice(candidates)
            source.expire()
            if source in self._dead:
                self._dead.remove(source)

    def _schedule(self, call: Call, after: bool) -> BaseException | None:
        """What happens at this boundary: mostly nothing."""
        if not self._faulty or self._nested or self.random.random() > 0.12:
            return None
        self.faults[f"{call} {'after' if after else 'before'}"] += 1
        kind = self.random.random()
        if kind < 0.25:
            return Killed()
        if kind < 0.45:
            return TransportError("the world")
        if kind < 0.75:
            self._meanwhile()
            return None
        passing = call in ("produce", "send_offsets") or (call in ("commit_transaction", "commit") and not after)
        return DeliveryAborted("passing") if passing else None

    def _meanwhile(self) -> None:
        """Something happens elsewhere in the middle of a call: a session ends, or another worker has its turn."""
        self._nested = True
        try:
            if self.random.random() < 0.5:
                self._expire()
            else:
                busy = set(self._workers)
                idle = [slot for slot in range(SLOTS) if slot not in busy]
                if idle:
                    self._turn(idle[0])
        finally:
            self._nested = False

    def _settle(self) -> None:
        """No more faults: the dead are found dead, transactions are ended, and the living catch up."""
        self._faulty = False
        for source in self._dead:
            source.expire()
        for slot in range(SLOTS):
            self._die(slot)
        for source in self._dead:
            source.expire()
        self.kafka.abort_hanging()
        for _ in range(SETTLING_STEPS):
            for slot in range(SLOTS):
                self._turn(slot)
            self._check()
            if all(self._offset(tp) >= self._last(tp) for tp in self.kafka.partitions(INPUT)):
                return
        raise Violation("the lag did not go back to 0")

    def _check(self) -> None:
        """At every moment: offsets never go back, each partition is in order, and outputs agree with offsets."""
        outputs = self._outputs()
        for tp in self.kafka.partitions(INPUT):
            offset = self._offset(tp)
            if offset < self._committed.get(tp, 0) and self.mode == "exactly-once":
                raise Violation(f"{tp}: the committed offset went back from {self._committed[tp]} to {offset}")
            self._committed[tp] = offset
            due = {record.offset: kind_of(record) for record in self._input(tp) if record.offset < offset}
            self._check_partition(tp, due, outputs[tp.partition])
        if self.mode == "exactly-once":
            self._check_counts()

    def _check_partition(self, tp: TopicPartition, due: dict[int, str], found: dict[str, list[int]]) -> None:
        for kind in ("predicted", "refused"):
            expected = [offset for offset, expected_kind in due.items() if expected_kind == kind]
            seen = found[kind]
            if lost := sorted(set(expected) - set(seen)):
                raise Violation(f"{tp}: committed, and not {kind}: {lost}")
            if self.mode == "exactly-once" and seen != expected:
                raise Violation(f"{tp}: {kind} {seen}, with the offsets committed it should be {expected}")
            first_time = list(dict.fromkeys(seen))
            if first_time != sorted(first_time):
                raise Violation(f"{tp}: {kind} out of order: {seen}")

    def _check_counts(self) -> None:
        """The sketches that are committed add up to what an offline count of the same records gives."""
        log = self.kafka.log(TopicPartition(SKETCHES, 0))
        entries = [entry.record for entry in log.entries(0, log.end) if entry.visible and entry.record is not None]
        due = [r for tp in self.kafka.partitions(INPUT) for r in self._input(tp) if r.offset < self._offset(tp)]
        found, expected = added([counted.read(record) for record in entries]), counted.windows_of(due, GOOD)
        if found != expected:
            differing = sorted(at for at in found.keys() | expected.keys() if found.get(at) != expected.get(at))
            raise Violation(f"the counts of {len(differing)} windows are wrong, the first of them {differing[0]}")

    def _check_done(self) -> None:
        outputs = self._outputs()
        for tp in self.kafka.partitions(INPUT):
            found = outputs[tp.partition]
            expected = {r.offset for r in self._input(tp) if kind_of(r) != "skipped"}
            if set(found["predicted"]) | set(found["refused"]) != expected:
                raise Violation(f"{tp}: something was lost, or came of nothing")

    def _outputs(self) -> dict[int, dict[str, list[int]]]:
        """All that is committed, even where a reader still has to wait for another's open transaction before it."""
        found: dict[int, dict[str, list[int]]] = {p: {"predicted": [], "refused": []} for p in range(PARTITIONS)}
        for kind, topic in (("predicted", PREDICTIONS), ("refused", LETTERS)):
            for tp in self.kafka.partitions(topic):
                log = self.kafka.log(tp)
                for entry in log.entries(0, log.end):
                    if entry.record is not None and entry.visible:
                        partition, offset = _place_of(entry.record)
                        found[partition][kind].append(offset)
        return found

    def _input(self, tp: TopicPartition) -> list[Record]:
        log = self.kafka.log(tp)
        return [entry.record for entry in log.entries(0, log.stable_end) if entry.visible and entry.record is not None]

    def _last(self, tp: TopicPartition) -> int:
        """The offset that is committed once all of the partition's records are done."""
        return max((record.offset + 1 for record in self._input(tp)), default=0)

    def _offset(self, tp: TopicPartition) -> int:
        committed = self.kafka.committed(GROUP).get(tp)
        return committed.offset if committed else 0


_place_of = functools.cache(place_of)


@functools.cache
def _pipeline() -> Pipeline:
    """Pure, so that all workers can share one."""
    predictor = StubPredictor(poison=lambda columns: columns["age"].objects() == 66)
    return pipeline(predictor, PREDICTIONS, LETTERS, counted.sketching(SKETCHES))


def kind_of(record: Record) -> str:
    """What must become of an event."""
    if record.value is None:
        return "skipped"
    return "predicted" if record.value in GOOD else "refused"
