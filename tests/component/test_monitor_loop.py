"""The monitor's loop: whatever ends it, each window is reported once, and each is the same."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.component.monitor_rig import (
    ALERTS,
    INPUT,
    MODEL,
    MONITORS,
    PLACE,
    REPORTS,
    SKETCHES,
    STATE,
    CountingWorkers,
    SketchesInMemory,
    Told,
    WatchInMemory,
    broker,
    loop_on,
    written,
)
from worker.avro.any_record import KnownSchemas
from worker.errors import ConfigurationError, DeliveryAborted, Fenced, TransportError
from worker.monitor.checkpoint import Checkpoint
from worker.monitor.loop import MonitorLoop
from worker.records import Record
from worker.shipped import output_schema
from worker.testing import InMemoryKafka
from worker.testing.faults import Call

TIMES = {
    0: list(range(0, 600_000, 7_000)),
    1: list(range(1_000, 540_000, 11_000)),
    2: list(range(0, 120_000, 5_000)),  # falls silent early
}


REPORT = KnownSchemas([output_schema("drift_report")])


class Killed(BaseException):
    """The process died here."""


def published(kafka: InMemoryKafka) -> tuple[list[bytes | None], list[bytes | None]]:
    """Reports and alerts, in order."""
    reports, alerts = ([record.value for record in kafka.records(topic)] for topic in (REPORTS, ALERTS))
    return reports, alerts


def turns(loop: MonitorLoop, count: int = 15) -> None:
    for _ in range(count):
        loop.run_once()


@functools.cache
def expected() -> tuple[list[bytes | None], list[bytes | None]]:
    """What one worker and one monitor make of it, undisturbed."""
    kafka = broker(TIMES)
    CountingWorkers(kafka).take_all(random.Random(0), 1_000)
    turns(loop_on(kafka))
    return published(kafka)


def test_every_window_is_reported() -> None:
    """All windows but the last, which may still get events; the one episode is alerted of."""
    reports, alerts = expected()
    assert (len(reports), len(alerts)) == (9, 1)


class Simulation:
    """Two monitors beside workers, under a seeded schedule that may strike at every call of theirs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kafka = broker(TIMES)
        self.workers = CountingWorkers(self.kafka)
        self.loops = [self.fresh(number) for number in range(2)]
        self.running = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.kafka.on_every_call(self.strike)
            self.running = self.random.randrange(2)
            try:
                self.loops[self.running].run_once()
            except (Killed, TransportError):
                with self.calm():
                    self.loops[self.running].source.close()  # or its session runs out
                    self.loops[self.running] = self.fresh(self.running)

    def settle(self) -> None:
        """The faults are over: one monitor is left, and everything gets done."""
        self.kafka.on_every_call(None)
        self.workers.take_all(self.random, 9)
        self.loops[1].source.close()
        turns(self.loops[0], 40)

    def fresh(self, number: int) -> MonitorLoop:
        loop = loop_on(self.kafka, number)
        assert isinstance(loop.watch, WatchInMemory)
        loop.watch.before_look = self.work
        return loop

    def work(self) -> None:
        with self.calm():
            if (left := self.workers.left()) and self.random.random() < 0.5:
                self.workers.take(self.random.choice(left), self.random.randint(1, 9))

    def strike(self, call: Call, after: bool) -> BaseException | None:
        """What may happen there; ``after``: once the call took effect."""
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
        assert isinstance(source, SketchesInMemory)
        with self.calm():
            source.expire()
            turns(self.loops[1 - self.running], 3)

    @contextmanager
    def calm(self) -> Iterator[None]:
        schedule = self.kafka.faults.schedule
        self.kafka.on_every_call(None)
        yield
        self.kafka.on_every_call(schedule)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_ends_it(seed: int) -> None:
    """Monitors that die, are fenced, aborted or overtaken at any call publish the same bytes in the same order."""
    simulation = Simulation(seed)
    simulation.run(150)
    simulation.settle()
    assert published(simulation.kafka) == expected()


def test_an_idle_partition_is_not_idle_for_ever() -> None:
    """A look says of a partition that it was idle then: what other partitions have sent since does not close its windows."""
    kafka = broker({0: [0, 65_000, 130_000], 1: [0, 200_000], 2: [0]})
    workers, loop = CountingWorkers(kafka), loop_on(kafka)
    workers.take(2, 1)
    with workers.taking(0, 1):  # so that the look has something to wait for
        turns(loop, 10)
    kafka.append(INPUT, [Record(INPUT, 2, 0, 0, None, b"61000")])
    workers.take(0, 2)
    workers.take(1, 2)
    loop.run_once()
    workers.take(2, 1)
    turns(loop, 20)
    assert [REPORT.read(record.value or b"")["records"] for record in kafka.records(REPORTS)] == [3, 2, 1]


def test_a_stalled_worker_holds_the_windows() -> None:
    """As long as a partition has a record that nobody has taken, no window closes without it."""
    kafka = broker(TIMES)
    workers, loop = CountingWorkers(kafka), loop_on(kafka)
    workers.take(0, 1_000)
    workers.take(1, 1_000)
    turns(loop, 100)
    assert kafka.records(REPORTS) == []
    workers.take(2, 1_000)
    turns(loop)
    assert published(kafka) == expected()


def test_what_is_no_sketch_is_passed_over() -> None:
    """A foreign record among the sketches is told of, and the next one is read."""
    kafka, told = broker(TIMES), Told()
    kafka.write(written(b"no sketch"))
    CountingWorkers(kafka).take_all(random.Random(0), 1_000)
    turns(loop_on(kafka, observer=told))
    assert told.offsets == [0]
    assert published(kafka) == expected()


def test_offsets_of_a_group_that_was_forgotten() -> None:
    """The state says where to go on, also when the broker has let the group's offset expire."""
    kafka = broker(TIMES)
    workers = CountingWorkers(kafka)
    workers.take(0, 1_000)
    workers.take(1, 1_000)
    turns(first := loop_on(kafka), 200)
    first.source.close()
    del kafka.group(MONITORS).committed[PLACE]
    workers.take(2, 1_000)
    turns(loop_on(kafka, 1))
    assert published(kafka) == expected()


def test_a_state_that_is_gone() -> None:
    """Offsets without their state are no place to begin: the monitor waits for it, and then stops with a way out."""
    kafka = broker(TIMES)
    CountingWorkers(kafka).take_all(random.Random(0), 1_000)
    turns(first := loop_on(kafka))
    first.source.close()
    kafka.delete_records(STATE, 0, 1_000)
    loop = loop_on(kafka, 1)
    turns(loop, 100)
    with pytest.raises(ConfigurationError, match="no such state"):
        turns(loop, 500)
    assert published(kafka) == expected()


def test_another_versions_state() -> None:
    """A state that this version can't read stops the start; told to, the monitor begins again without it."""
    kafka = broker(TIMES)
    CountingWorkers(kafka).take_all(random.Random(0), 1_000)
    kafka.append(STATE, [Record(STATE, 0, 0, 0, MODEL.encode(), b'{"v":2}')])
    with pytest.raises(ConfigurationError, match="can't be read"):
        turns(refused := loop_on(kafka))
    refused.source.close()
    loop = loop_on(kafka)
    loop.from_start = True
    turns(loop)
    assert published(kafka) == expected()
    loop.source.close()
    turns(loop_on(kafka, 1))
    assert published(kafka) == expected()


def test_other_models_are_others_business() -> None:
    """States and sketches of other models in the same topics are left alone."""
    kafka = broker(TIMES)
    kafka.append(STATE, [Record(STATE, 0, 0, 0, b"another", Checkpoint(99, {}).to_bytes())])
    CountingWorkers(kafka).take_all(random.Random(0), 1_000)
    turns(loop_on(kafka))
    assert published(kafka) == expected()
    assert PLACE.topic == SKETCHES
