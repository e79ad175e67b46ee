"""The monitor's loop with its edges in memory, and workers whose whole work is to count."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from worker.avro.sketches import SketchCodec
from worker.drift.monitor import DriftMonitor
from worker.drift.outcome import Outcome
from worker.drift.profile import ReferenceProfile, Series
from worker.drift.significance import Policy
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.monitor.encoding import OutputEncoder, OutputTopics
from worker.monitor.loop import MonitorLoop
from worker.monitor.watched import Memory
from worker.ports import Look, Taken
from worker.records import Committable, OutgoingBatch, Record, Slices, TopicPartition
from worker.shipped import output_schema
from worker.testing import CommittedOffset, InMemoryKafka, InMemorySink
from worker.testing.group import Generation

INPUT, SKETCHES, REPORTS, ALERTS, STATE = "in", "sketches", "reports", "alerts", "state"
WORKERS, MONITORS, MODEL = "workers", "monitors", "m"
PARTITIONS = 3
WINDOW_SECONDS, LATENESS_SECONDS = 60, 6
CODEC = SketchCodec(output_schema("drift_sketch"))
PLACE = TopicPartition(SKETCHES, 0)
# Live events are all in another bin than the reference's, so that an episode opens.
PROFILE = ReferenceProfile(
    (Series("x", "numeric", (0, 0, 0, 100, 900, 0), (0.0, 1.0, 2.0)),), WINDOW_SECONDS, records=1_000
)
POLICY = Policy(min_records=1)


class SketchesInMemory:
    """Implements ``ports.SketchSource``."""

    def __init__(self, kafka: InMemoryKafka) -> None:
        self._kafka = kafka
        self._group = kafka.group(MONITORS)
        self._member = ""
        self._ours = False
        self._at = -1

    def poll(self, seconds: float) -> Taken:
        with self._kafka.faults.around("poll"):
            self._kafka.clock.advance(seconds)
            anew = self._take_part()
            if not self._ours or anew or self._at < 0:
                return Taken(self._ours, anew)
            log = self._kafka.log(PLACE)
            entries = list(log.entries(self._at, log.stable_end))
            self._at = max(self._at, log.stable_end)
            values = [(e.offset, e.record.value) for e in entries if e.record is not None and e.visible]
            return Taken(True, False, values, self._at, Generation(self._member, self._group.generation))

    def committed(self) -> tuple[int, str] | None:
        if not self._group.is_stable(PLACE):
            return None
        found = self._group.committed.get(PLACE, CommittedOffset(-1))
        return found.offset, found.metadata

    def start(self, offset: int | None) -> int:
        self._at = offset or 0
        return self._at

    def close(self) -> None:
        self.expire()

    def expire(self) -> None:
        """The session times out: the group goes on without us, and we learn it in our next poll."""
        self._group.leave(self._member)

    def _take_part(self) -> bool:
        """Whether the partition has come to us."""
        if not self._group.has(self._member):
            self._ours = False
            self._member = self._group.join([PLACE])
        revoked, assigned = self._group.sync(self._member)
        self._ours = bool(assigned) or (self._ours and not revoked)
        if assigned:
            self._at = -1
        return bool(assigned)


@dataclass(slots=True)
class WatchInMemory:
    """Implements ``ports.InputWatch``."""

    kafka: InMemoryKafka
    before_look: Callable[[], object] = lambda: None

    def look(self) -> Look:
        """What happens ``before_look`` came after the sketches were polled, and before the input is looked at."""
        self.before_look()
        committed = self.kafka.committed(WORKERS)
        places = self.kafka.partitions(INPUT)
        idle = [tp for tp in places if committed.get(tp, CommittedOffset(0)).offset >= self.kafka.log(tp).end]
        return Look(frozenset(tp.partition for tp in idle), len(places), self.kafka.log(PLACE).end)

    def close(self) -> None: ...


@dataclass(slots=True)
class StatesInMemory:
    """Implements ``ports.StateLog``."""

    kafka: InMemoryKafka

    def latest(self, key: bytes) -> bytes | None:
        return next((r.value for r in reversed(self.kafka.records(STATE)) if r.key == key), None)


@dataclass(slots=True)
class Told:
    """Implements ``MonitorObserver``: keeps what it was told."""

    events: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def started(self) -> None: ...

    def progressed(self) -> None: ...

    def assignment(self, partitions: int) -> None:
        self.events.append("active" if partitions else "standing by")

    def absorbed(self, sketches: int) -> None: ...

    def refused(self, offset: int, why: str) -> None:
        self.offsets.append(offset)

    def judged(self, outcome: Outcome, episodes: int, concepts: int) -> None: ...

    def aborted(self, error: Exception) -> None:
        self.events.append("aborted")

    def stopped(self) -> None: ...


def broker(times_ms: Mapping[int, Sequence[int]]) -> InMemoryKafka:
    """With an input whose records have these event times, by partition; their values say nothing else."""
    kafka = InMemoryKafka()
    kafka.create_topic(INPUT, PARTITIONS)
    for topic in (SKETCHES, REPORTS, ALERTS, STATE):
        kafka.create_topic(topic)
    for partition, times in times_ms.items():
        kafka.append(INPUT, [Record(INPUT, partition, 0, 0, None, str(time).encode()) for time in times])
    return kafka


def loop_on(kafka: InMemoryKafka, number: int = 0, observer: Told | None = None) -> MonitorLoop:
    return MonitorLoop(
        source=SketchesInMemory(kafka),
        states=StatesInMemory(kafka),
        watch=WatchInMemory(kafka),
        sink=InMemorySink(kafka, MONITORS, f"monitor-{number}"),
        memory=memory(),
        read_sketch=CODEC.read,
        encoder=OutputEncoder(
            OutputTopics(REPORTS, ALERTS, STATE),
            *map(output_schema, ("drift_report", "drift_alert", "quality_report")),
        ),
        sketches=PLACE,
        patience_seconds=60,
        observer=observer or Told(),
        clock=kafka.clock,
    )


def memory() -> Memory:
    known = {"d" * 64: PROFILE}
    return Memory(MODEL, lambda: DriftMonitor(known, POLICY), lambda state: DriftMonitor.of_state(known, POLICY, state))


class CountingWorkers:
    """The whole group: takes so many records of a partition, and delivers their sketch with their offset."""

    def __init__(self, kafka: InMemoryKafka) -> None:
        self._kafka = kafka
        group = kafka.group(WORKERS)
        member = group.join(kafka.partitions(INPUT))
        group.sync(member)
        self._generation = Generation(member, group.generation)

    def left(self) -> list[int]:
        return [tp.partition for tp in self._kafka.partitions(INPUT) if self._offset(tp) < self._kafka.log(tp).end]

    def take(self, partition: int, count: int) -> None:
        with self.taking(partition, count):
            pass

    @contextmanager
    def taking(self, partition: int, count: int) -> Iterator[None]:
        """The transaction is open during the block."""
        tp = TopicPartition(INPUT, partition)
        first = self._offset(tp)
        entries = list(self._kafka.log(tp).entries(0, first + count))
        times = [int(entry.record.value or b"") for entry in entries if entry.record is not None]
        producer = self._kafka.producer(f"worker-{partition}")
        producer.begin()
        producer.produce(written(CODEC.write(counted(partition, times, first))))
        producer.send_offsets(WORKERS, Committable({tp: len(times)}, {}, self._generation))
        yield
        producer.commit()

    def take_all(self, random: random.Random, most: int) -> None:
        while left := self.left():
            self.take(random.choice(left), random.randint(1, most))

    def _offset(self, tp: TopicPartition) -> int:
        return self._kafka.committed(WORKERS).get(tp, CommittedOffset(0)).offset


def written(sketch: bytes) -> OutgoingBatch:
    return OutgoingBatch(SKETCHES, np.zeros(1, np.int64), Slices.of([MODEL.encode()]), Slices.of([sketch]))


def counted(partition: int, times_ms: Sequence[int], first: int) -> Sketch:
    """Of the records from ``first`` on; all before them decide the watermark. None is late: times ascend."""
    window_ms = WINDOW_SECONDS * 1_000
    windows: dict[int, int] = {}
    for time in times_ms[first:]:
        windows[time // window_ms * window_ms] = windows.get(time // window_ms * window_ms, 0) + 1
    return Sketch(
        model_name=MODEL,
        model_version="1.0.0",
        profile_digest="d" * 64,
        window_seconds=WINDOW_SECONDS,
        lateness_seconds=LATENESS_SECONDS,
        input_topic=INPUT,
        ranges=(Range(partition, first, len(times_ms), max(times_ms)),),
        windows=tuple(
            WindowCounts(partition, start, records, np.array([3]), np.array([records]))
            for start, records in sorted(windows.items())
        ),
    )
