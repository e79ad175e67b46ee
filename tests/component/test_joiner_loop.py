"""The joiner's loop: whatever ends it, each prediction and its label are told once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.component.joiner_rig import (
    CODEC,
    JOINERS,
    LABELS,
    PARTITIONS,
    PREDICTIONS,
    RULES,
    SCORING,
    SKETCHES,
    PairsInMemory,
    Told,
    broker,
    loop_on,
)
from tests.support.quality import Said, True_, definition
from worker.avro.decode import Decoder
from worker.avro.framing import Framed, frame_detected
from worker.avro.schema import parse_schema
from worker.errors import ConfigurationError, DeliveryAborted, Fenced, SchemaUnavailable, TransportError
from worker.joiner.loop import JoinLoop
from worker.joiner.reading import LabelFields, LabelReader
from worker.quality.changes import Cell, Changes
from worker.quality.position import Position
from worker.quality.scoring import Predicted
from worker.quality.tally import Tally
from worker.records import Committable, Record, RecordBatch, TopicPartition
from worker.registry.files import SchemaFiles
from worker.shipped import output_schema
from worker.testing import CommittedOffset, InMemoryKafka
from worker.testing.faults import Call
from worker.testing.group import Generation


class Killed(BaseException):
    """The process died here."""


def streams(seed: int, count: int = 60) -> tuple[dict[int, list[Said]], dict[int, list[True_]]]:
    rng = random.Random(seed)
    said: dict[int, list[Said]] = {}
    true: dict[int, list[True_]] = {}
    for partition in range(PARTITIONS):
        now, labels = 0, []
        ours = said[partition] = []
        for i in range(count):
            now += rng.randint(0, 2_000)
            p = rng.random()
            ours.append(
                Said(i, f"{partition}-{i}", max(0, now - rng.choice((0, 0, 9_000))), Predicted(int(p > 0.5), p))
            )
            labels += [
                (now + rng.randint(0, 18_000), f"{partition}-{i + rng.choice((0, 0, 0, 500))}")
                for _ in range(rng.choice((0, 1, 1, 1, 2)))
            ]
        labels.sort(key=lambda one: one[0] + rng.randint(0, 4_000))
        true[partition] = [True_(i, event, time, rng.randint(0, 1)) for i, (time, event) in enumerate(labels)]
    return said, true


def turns(loop: JoinLoop, count: int) -> None:
    for _ in range(count):
        loop.run_once()


def told(kafka: InMemoryKafka) -> tuple[dict[Cell, object], dict[int, int]]:
    """What the sketches add up to."""
    tallies: dict[Cell, Tally] = {}
    unmatched: Counter[int] = Counter()
    for record in kafka.records(SKETCHES):
        sketch = CODEC.read(record.value)
        unmatched.update(sketch.unmatched)
        for cell, tally in sketch.tallies.items():
            tallies.setdefault(cell, Tally()).add(tally)
    return {cell: tally.state() for cell, tally in tallies.items()}, dict(unmatched)


def expected(said: dict[int, list[Said]], true: dict[int, list[True_]]) -> tuple[dict[Cell, object], dict[int, int]]:
    """By the definition, of all partitions together."""
    tallies: dict[Cell, Tally] = {}
    unmatched: Counter[int] = Counter()
    for partition, ours in said.items():
        found = definition(ours, true[partition], RULES)
        changes = Changes(found.counts)
        for cell, pairs in found.pairs.items():
            changes.pairs[cell] = list(pairs.elements())
        for cell, tally in changes.tallies(SCORING).items():
            tallies.setdefault(cell, Tally()).add(tally)
        unmatched.update(found.unmatched)
    return {cell: tally.state() for cell, tally in tallies.items()}, dict(unmatched)


class Simulation:
    """Two joiners under a seeded schedule that may strike at every call of theirs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.said, self.true = streams(seed)
        self.kafka = broker(self.said, self.true)
        self.loops = [loop_on(self.kafka, number, self.random) for number in range(2)]
        self.running = 0

    def run(self, steps: int) -> None:
        self.kafka.on_every_call(self.strike)
        for _ in range(steps):
            self.running = self.random.randrange(2)
            try:
                self.loops[self.running].run_once()
            except (Killed, TransportError):
                with self.calm():
                    self.loops[self.running].source.close()  # or its session runs out
                    self.loops[self.running] = loop_on(self.kafka, self.running, self.random)
        self.kafka.on_every_call(None)

    def settle(self) -> None:
        """The faults are over: one joiner is left, and everything gets done."""
        self.loops[1].source.close()
        self.loops[1] = loop_on(self.kafka, 1, self.random)  # ends what it left open
        turns(self.loops[0], 150)

    def strike(self, call: Call, after: bool) -> BaseException | None:
        if self.random.random() > 0.06:
            return None
        if call in ("produce", "send_offsets") and self.random.random() < 0.7:
            if self.random.random() < 0.5:
                self.overtake()
                return None
            return None if after else DeliveryAborted("forced")
        return Fenced("forced") if call == "commit_transaction" and self.random.random() < 0.3 else Killed()

    def overtake(self) -> None:
        """The session of the one that delivers runs out, and the other is at work before it comes to itself."""
        source = self.loops[self.running].source
        assert isinstance(source, PairsInMemory)
        with self.calm():
            source.expire()
            turns(self.loops[1 - self.running], 3)

    @contextmanager
    def calm(self) -> Iterator[None]:
        schedule = self.kafka.faults.schedule
        self.kafka.on_every_call(None)
        yield
        self.kafka.on_every_call(schedule)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_ends_it(seed: int) -> None:
    """Joiners that die, are fenced, aborted or overtaken at any call tell exactly what is to be told."""
    simulation = Simulation(seed)
    simulation.run(120)
    simulation.settle()
    assert told(simulation.kafka) == expected(simulation.said, simulation.true)


def test_the_offsets_reach_the_ends() -> None:
    """In the end both topics' positions are their ends: so the monitor knows that there is nothing left."""
    said, true = streams(1)
    kafka = broker(said, true)
    turns(loop_on(kafka, 0, random.Random(1)), 60)
    committed = kafka.committed(JOINERS)
    assert {tp.partition: one.offset for tp, one in committed.items()} == {p: len(ours) for p, ours in true.items()}
    positions = {tp.partition: Position.read(one.metadata) for tp, one in committed.items()}
    assert {p: one.predictions.next for p, one in positions.items()} == {p: len(ours) for p, ours in said.items()}


def test_the_lag_is_told_and_what_was_read() -> None:
    """The observer is told what is left of both topics, until nothing is, and of each record that was read once."""
    said, true = streams(1)
    kafka, observer = broker(said, true), Told()
    loop = loop_on(kafka, 0, random.Random(1), observer)
    turns(loop, 2)  # the first is that in which the partitions come
    everything = sum(map(len, said.values())) + sum(map(len, true.values()))
    assert 0 < sum(observer.lag.values()) <= everything
    turns(loop, 58)
    assert set(observer.lag) == {TopicPartition(t, p) for t in (PREDICTIONS, LABELS) for p in range(PARTITIONS)}
    assert (sum(observer.lag.values()), observer.records) == (0, everything)


def test_what_is_no_label_is_passed_over() -> None:
    """Records that are no Avro, labels that are of no class or from the future: told, and joined to nothing."""
    said = {0: [Said(0, "e", 1_000, Predicted(1, 0.9))]}
    true = {0: [True_(0, "e", 2_000, 7), True_(1, "e", 2_000, 1), True_(2, "e", 10**15, 1, stamp_ms=3_000)]}
    kafka, observer = broker(said, true), Told()
    kafka.append(LABELS, [Record("", 0, 0, 0, None, b"no label")])
    kafka.append(PREDICTIONS, [Record("", 0, 0, 0, None, b"no prediction"), Record("", 1, 0, 0, None, None)])
    turns(loop_on(kafka, 0, random.Random(1), observer), 30)
    assert tuple(map(sum, zip(*observer.refusals, strict=True))) == (1, 3)
    assert told(kafka) == expected(said, {0: true[0][1:]})


def test_a_foreign_position_stops_it() -> None:
    """Metadata that no joiner of this version wrote is a problem to be told, not to be guessed at."""
    kafka = broker(*streams(1, 3))
    group = kafka.group(JOINERS)
    member = group.join(kafka.partitions(LABELS))
    group.sync(member)
    place = TopicPartition(LABELS, 0)
    group.commit(Generation(member, group.generation), {place: CommittedOffset(1, '{"v":9}')})
    group.leave(member)
    assert Committable({place: 1}).offsets
    with pytest.raises(ConfigurationError, match=r"can't be read: it is of version 9"):
        turns(loop_on(kafka, 0, random.Random(1)), 2)


def test_labels_that_stop_coming() -> None:
    """The labels of a partition are complete up to the predictions that there were when there was no further label."""
    said, _ = streams(2)
    kafka = broker(said, {})
    turns(loop_on(kafka, 0, random.Random(1)), 80)
    marks = {mark.partition: mark for record in kafka.records(SKETCHES) for mark in CODEC.read(record.value).marks}
    latest = {p: max(one.time_ms for one in ours) for p, ours in said.items()}
    assert {p: mark.predictions_ms for p, mark in marks.items()} == latest
    assert all(latest[p] - RULES.window_ms <= mark.labels_ms <= latest[p] for p, mark in marks.items())


def test_a_registry_that_does_not_answer() -> None:
    """While a label's schema can't be asked for, nothing is lost and nothing is told twice: all is read anew."""
    said, true = streams(3)
    kafka, rng = broker(said, true), random.Random(3)
    loop = loop_on(kafka, 0, rng)

    def framed(batch: RecordBatch) -> Framed:
        if rng.random() < 0.3:
            raise SchemaUnavailable("the registry does not answer")
        return frame_detected(batch, SchemaFiles(schema, {}), 1_000_000)

    schema = parse_schema(output_schema("label"))
    loop.labels = LabelReader(Decoder(schema, framed), LabelFields("event_id", "label", "time"), SCORING)
    turns(loop, 200)
    assert told(kafka) == expected(said, true)
