"""A campaign: topics of its own, a stream, a fleet on it, and the verdict on what it left behind."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.chaos.checker import Mode, Verdict
from tests.chaos.fleet import ChildProcess, Fleet
from tests.chaos.reading import CommittedOffsets, judge
from tests.chaos.stream import SCHEMA, Stream, StreamProducer, make_stream
from tests.support.kafka import make_topic
from worker.broker.topics import create_topics

POLL_SECONDS = 0.05
GRACE_SECONDS = 20.0
NO_HURRY_MS = 5_000


def say(line: str) -> None:
    """A figure for whoever runs the campaign with ``-s``."""
    sys.stdout.write(f"{line}\n")


@dataclass(slots=True)
class Campaign:
    bootstrap: str
    topic: str
    stream: Stream
    producer: StreamProducer
    fleet: Fleet
    offsets: CommittedOffsets
    admin: AdminClient
    began: float = field(default_factory=time.monotonic)

    def lag(self) -> int:
        return self.producer.produced - self.offsets.total()

    def await_progress(self, before: int | None = None, seconds: float = 60.0) -> None:
        """Until the group has committed something more than ``before`` (a total; default: now's)."""
        before = self.offsets.total() if before is None else before
        self.await_that("the group commits more", lambda: self.offsets.total() > before, seconds)

    def await_drained(self, seconds: float = 120.0) -> None:
        """Until the group has committed everything, or for so long: what is missing then is for the checker to say."""
        with contextlib.suppress(TimeoutError):
            self.await_that("the lag is gone", lambda: self.lag() <= 0, seconds)

    def busy(self) -> list[ChildProcess]:
        """The running workers that have partitions with something left to do; none while the group rebalances."""
        members = self.admin.describe_consumer_groups([self.topic])[self.topic].result(10).members
        committed, ends = self.offsets.now(), self.producer.ends()
        behind = {partition for partition, end in ends.items() if committed.get(partition, 0) < end}
        held = {m.client_id: {place.partition for place in m.assignment.topic_partitions} for m in members}
        return [worker for worker in self.fleet.running if behind & held.get(worker.name, set())]

    def await_settled(self, seconds: float = 60.0, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Until every running worker is a member of the group and has its share of the partitions."""

        def settled() -> bool:
            meanwhile()
            members = self.admin.describe_consumer_groups([self.topic])[self.topic].result(10).members
            holders = {m.client_id for m in members if m.assignment.topic_partitions}
            return holders == {worker.name for worker in self.fleet.running}

        self.await_that("every worker has partitions, and nobody else", settled, seconds)

    def await_that(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):  # a broker that is paused doesn't answer
                if condition():
                    return
            time.sleep(POLL_SECONDS)
        words = "\n".join(f"{worker.name}: {worker.last_words()}" for worker in self.fleet.running)
        raise TimeoutError(f"{what}: not within {seconds:g} s\n{words}")

    def verdict(self) -> Verdict:
        """Of everything produced so far; the workers must have ended or have nothing left to do."""
        stream = self.stream.first(self.producer.produced)
        return judge(self.bootstrap, self.topic, stream, self.offsets.now(), self.offsets.samples)


def verdicts(campaigns: Sequence[Campaign]) -> list[Verdict]:
    """Of several that ran at the same time: reading is mostly waiting."""
    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(Campaign.verdict, campaigns))


@contextlib.contextmanager
def open_campaign(
    bootstrap: str,
    folder: Path,
    bundle: Path,
    *,
    events: int,
    seed: int,
    mode: Mode = "exactly-once",
    partitions: int = 6,
    max_batch_records: int | None = None,
) -> Iterator[Campaign]:
    """Topics, stream and settings are made; nothing is produced or started yet. Ends every worker that was.

    Batches grow to ``max_batch_records`` however slow the machine is; None: to what the worker finds quick enough.
    """
    topic = make_topic(bootstrap, partitions=partitions, name_prefix="chaos")
    create_topics(bootstrap, {f"{topic}.predictions": partitions, f"{topic}.dlq": partitions})
    (folder / "reading.avsc").write_text(SCHEMA, "utf-8")
    settings: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": bootstrap, "group": topic},
        "topics": {"input": topic},
        "event": {"schema": "reading.avsc", "id": "id"},
        "model": {"bundle": str(bundle)},
        "delivery": {"mode": mode, "grace_seconds": GRACE_SECONDS},
        "telemetry": {"port": 0},
    }
    if max_batch_records is not None:
        settings["delivery"] |= {"max_batch_records": max_batch_records, "latency_target_ms": NO_HURRY_MS}
    config = folder / "worker.toml"
    config.write_text(to_toml(settings), "utf-8")
    stream = make_stream(events, partitions=partitions, seed=seed)
    producer = StreamProducer(bootstrap, topic, stream)
    offsets = CommittedOffsets(bootstrap, topic, topic, partitions)
    with Fleet(config) as fleet, offsets:
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        yield Campaign(bootstrap, topic, stream, producer, fleet, offsets, admin)


def to_toml(settings: dict[str, dict[str, Any]]) -> str:
    lines = []
    for section, values in settings.items():
        lines += [f"[{section}]", *(f"{key} = {value!r}" for key, value in values.items()), ""]
    return "\n".join(lines)
