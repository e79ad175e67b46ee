"""The laws under hundreds of seeded schedules; and the checker under mutants, each of which it must catch."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.component.worker_simulation import (
    GROUP,
    INPUT,
    LETTERS,
    SKETCHES,
    MakeSink,
    MakeSource,
    Simulation,
    Violation,
    at_least_once,
    behind,
    exactly_once,
    plain_source,
)
from worker.errors import DeliveryAborted
from worker.ports import Fetch, FetchLimit
from worker.records import Committable, OutgoingBatch, RecordBatch
from worker.settings import Mode
from worker.testing import InMemoryAtLeastOnceSink, InMemoryKafka, InMemorySink, InMemorySource
from worker.testing.group import CommittedOffset, Generation
from worker.testing.kafka import committed_offsets

SEEDS = 150
BOUNDARIES = 150  # seeds that a mutant may survive


@pytest.mark.parametrize(
    ("mode", "sink"),
    [("exactly-once", exactly_once), ("exactly-once", behind), ("at-least-once", at_least_once)],
    ids=["exactly-once", "behind", "at-least-once"],
)
def test_laws(mode: Mode, sink: MakeSink) -> None:
    """Conservation, order and atomicity hold after every step of every seed, and all work gets done in the end."""
    met: Counter[str] = Counter()
    for seed in range(SEEDS):
        simulation = Simulation(seed, mode, sink=sink)
        try:
            simulation.run()
        except Violation as violation:
            raise AssertionError(f"seed {seed}: {violation}") from violation
        met += simulation.faults
    calls = ("produce", "send_offsets", "commit_transaction") if mode == "exactly-once" else ("produce", "commit")
    for call in ("poll", *calls):
        assert met[f"{call} before"] > 5, "the schedule must reach every boundary"
        assert met[f"{call} after"] > 5


def test_a_seed_is_a_run() -> None:
    """The same seed gives the same run."""
    runs = [Simulation(7), Simulation(7)]
    for run in runs:
        run.run()
    assert runs[0].faults == runs[1].faults
    assert runs[0].kafka.records("predictions") == runs[1].kafka.records("predictions")


class NeverRewinds(InMemorySource):
    def rewind(self, batch: RecordBatch) -> None:
        pass


class ReadsUncommitted(InMemorySource):
    """Takes aborted records for real ones."""

    def _poll(self, limit: FetchLimit) -> Fetch:
        logs = [self._kafka.log(tp) for tp in self._kafka.partitions(INPUT)]
        kept = [log._entries for log in logs]
        for log in logs:
            log._entries = [replace(entry, transaction=None) for entry in log._entries]
        try:
            return super()._poll(limit)
        finally:
            for log, entries in zip(logs, kept, strict=True):
                log._entries = entries


def alters(change: Callable[[Sequence[OutgoingBatch]], Sequence[OutgoingBatch]]) -> type[InMemorySink]:
    """A sink that delivers something else than it was given."""

    class Altering(InMemorySink):
        def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
            super().deliver(change(outgoing), committable)

    return Altering


def moves(by: int) -> type[InMemorySink]:
    """A sink that commits other offsets than it was given."""

    class Moving(InMemorySink):
        def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
            offsets = {tp: max(0, offset + by) for tp, offset in committable.offsets.items()}
            super().deliver(outgoing, replace(committable, offsets=offsets))

    return Moving


class CommitsFirst(InMemoryAtLeastOnceSink):
    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        super().deliver([], committable)
        super().deliver(outgoing, committable)


class OffsetsOutside(InMemorySink):
    """Outputs in a transaction, offsets after it."""

    def __init__(self, kafka: InMemoryKafka, group: str, transactional_id: str) -> None:
        super().__init__(kafka, group, transactional_id)
        self.kafka = kafka

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        super().deliver(outgoing, replace(committable, offsets={}))
        self.kafka.group(GROUP).commit(committable.generation, committed_offsets(committable))


class CommitsWhatFailed(InMemorySink):
    """Goes on to the commit when sending the offsets has failed."""

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        self._producer.begin()
        try:
            for batch in outgoing:
                self._producer.produce(batch)
        except DeliveryAborted:
            self._producer.abort()
            raise
        with contextlib.suppress(DeliveryAborted):
            self._producer.send_offsets(GROUP, committable)
        self._producer.commit()


class RetriesAll(InMemorySink):
    """After a failed commit, everything once more without telling anyone."""

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        try:
            super().deliver(outgoing, committable)
        except DeliveryAborted:
            super().deliver([*outgoing, *outgoing], committable)


class ForgetsGeneration(InMemorySink):
    """Commits as if in the group's newest generation, as with metadata made of the group's id alone."""

    def __init__(self, kafka: InMemoryKafka, group: str, transactional_id: str) -> None:
        super().__init__(kafka, group, transactional_id)
        self.kafka = kafka

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        group = self.kafka.group(GROUP)
        members = list(group._members) or ["nobody"]
        if members == ["nobody"]:
            group.committed.update({tp: CommittedOffset(at) for tp, at in committable.offsets.items()})
        super().deliver(outgoing, replace(committable, generation=Generation(members[0], group.generation)))


class SketchesOutside(InMemorySink):
    """What was counted is written whether or not the transaction succeeds, so a crash counts twice."""

    def __init__(self, kafka: InMemoryKafka, group: str, transactional_id: str) -> None:
        super().__init__(kafka, group, transactional_id)
        self.kafka = kafka

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        for batch in outgoing:
            if batch.topic == SKETCHES:
                self.kafka.write(batch)
        super().deliver([batch for batch in outgoing if batch.topic != SKETCHES], committable)


class ForgetsWatermarks(InMemorySink):
    """Commits offsets alone, so whoever takes a partition over doesn't know what is late."""

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        super().deliver(outgoing, replace(committable, metadata={}))


class AbortsAfterCommitting(InMemorySink):
    """Says that nothing happened when all of it did."""

    calls = 0

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        super().deliver(outgoing, committable)
        AbortsAfterCommitting.calls += 1
        if AbortsAfterCommitting.calls % 3 == 0:
            raise DeliveryAborted("said the mutant")


class HushesTheOneBefore(InMemorySink):
    """Says of two batches that were aborted that it was one."""

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        try:
            super().deliver(outgoing, committable)
        except DeliveryAborted as error:
            raise DeliveryAborted(error.message) from error


def without_letters(outgoing: Sequence[OutgoingBatch]) -> Sequence[OutgoingBatch]:
    return [batch for batch in outgoing if batch.topic != LETTERS]


def without_sketches(outgoing: Sequence[OutgoingBatch]) -> Sequence[OutgoingBatch]:
    return [batch for batch in outgoing if batch.topic != SKETCHES]


def without_last(outgoing: Sequence[OutgoingBatch]) -> Sequence[OutgoingBatch]:
    return [batch if batch.topic == SKETCHES else _take(batch, np.arange(len(batch) - 1)) for batch in outgoing]


def reversed_rows(outgoing: Sequence[OutgoingBatch]) -> Sequence[OutgoingBatch]:
    return [_take(batch, np.arange(len(batch))[::-1].copy()) for batch in outgoing]


def twice(outgoing: Sequence[OutgoingBatch]) -> Sequence[OutgoingBatch]:
    return [*outgoing, *without_sketches(outgoing)]


def _take(batch: OutgoingBatch, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> OutgoingBatch:
    keys, values, headers = batch.keys.take(rows), batch.values.take(rows), batch.headers.take(rows)
    return OutgoingBatch(batch.topic, batch.partition[rows], keys, values, headers)


def sink_of(kind: type[InMemorySink]) -> MakeSink:
    return lambda kafka, transactional_id: kind(kafka, GROUP, transactional_id)


def source_of(kind: type[InMemorySource]) -> MakeSource:
    return lambda kafka: kind(kafka, INPUT, GROUP)


MUTANTS: dict[str, tuple[Mode, MakeSource, MakeSink]] = {
    "no rewind after an abort": ("exactly-once", source_of(NeverRewinds), exactly_once),
    "read_uncommitted input": ("exactly-once", source_of(ReadsUncommitted), exactly_once),
    "commit before produce": ("at-least-once", plain_source, lambda kafka, _: CommitsFirst(kafka, GROUP)),
    "offsets outside the transaction": ("exactly-once", plain_source, sink_of(OffsetsOutside)),
    "failed send-offsets ignored": ("exactly-once", plain_source, sink_of(CommitsWhatFailed)),
    "doubled produce on retry": ("exactly-once", plain_source, sink_of(RetriesAll)),
    "abort said after a commit": ("exactly-once", plain_source, sink_of(AbortsAfterCommitting)),
    "one of two aborted batches hushed up": (
        "exactly-once",
        plain_source,
        lambda kafka, transactional_id: HushesTheOneBefore(kafka, GROUP, transactional_id, behind=True),
    ),
    "generation ignored": ("exactly-once", plain_source, sink_of(ForgetsGeneration)),
    "at least once taken for exactly once": ("exactly-once", plain_source, at_least_once),
    "offset + 1": ("exactly-once", plain_source, sink_of(moves(1))),
    "offset - 1": ("exactly-once", plain_source, sink_of(moves(-1))),
    "dead letter dropped": ("exactly-once", plain_source, sink_of(alters(without_letters))),
    "dead letter dropped, at least once": (
        "at-least-once",
        plain_source,
        lambda kafka, _: _altering_at_least_once(kafka),
    ),
    "sketches outside the transaction": ("exactly-once", plain_source, sink_of(SketchesOutside)),
    "sketch dropped": ("exactly-once", plain_source, sink_of(alters(without_sketches))),
    "watermarks forgotten": ("exactly-once", plain_source, sink_of(ForgetsWatermarks)),
    "last of a batch dropped": ("exactly-once", plain_source, sink_of(alters(without_last))),
    "produced twice": ("exactly-once", plain_source, sink_of(alters(twice))),
    "order mixed": ("exactly-once", plain_source, sink_of(alters(reversed_rows))),
}


def _altering_at_least_once(kafka: InMemoryKafka) -> InMemoryAtLeastOnceSink:
    class Altering(InMemoryAtLeastOnceSink):
        def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
            super().deliver(without_letters(outgoing), committable)

    return Altering(kafka, GROUP)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name: str) -> None:
    """A worker that breaks a law is caught, so the checker is able to fail."""
    mode, source, sink = MUTANTS[name]
    for seed in range(BOUNDARIES):
        try:
            Simulation(seed, mode, source, sink).run()
        except Violation:
            return
    pytest.fail(f"{name} survived {BOUNDARIES} seeds")
