"""Which partitions of the input hold nothing that the worker group has still to read.

A partition is idle when the group's committed offset is its end. A topic that is written to in transactions ends in
their markers, which nobody can commit past: there it is looked whether any record that can be read is left. What an
open transaction holds may still become one, so such a partition is not idle.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient

from worker.errors import TransportError
from worker.kafka.config import admin_config, consumer_config
from worker.kafka.errors import client, error_of, is_passing, stopping
from worker.kafka.joined_watch import JoinedWatch
from worker.kafka.offsets import ends
from worker.ports import Look
from worker.settings import Settings

TIMEOUT_SECONDS = 10.0
PROBE_SECONDS = 5.0


class KafkaInputWatch:
    """Implements ``ports.InputWatch``. It knows the group's offsets without being a member, and commits nothing.

    A look costs three requests, and where the group stands still before the end of a partition, a fetch from it.
    """

    def __init__(self, settings: Settings) -> None:
        self._input = settings.topics.input
        self._sketches = settings.topics.drift_sketches
        self._admin = client(AdminClient, admin_config(settings))
        config = consumer_config(settings)
        # What is committed, at once: a reader of committed records would be made to wait for open transactions.
        self._group = client(Consumer, config | {"isolation.level": "read_uncommitted"})
        self._probe = _Probe(config, self._input)
        self._joined = JoinedWatch(settings, self._ends) if settings.labels.enabled else None
        self._before: dict[int, int] = {}

    def look(self) -> Look | None:
        try:
            return self._look()
        except KafkaException as exception:
            if is_passing(error := error_of(exception)):
                return None
            raise stopping("looking at the input's offsets", error) from None

    def close(self) -> None:
        self._probe.close()
        self._group.close()
        if self._joined is not None:
            self._joined.close()

    def _look(self) -> Look:
        """The order matters: what is committed at first was all there was when the ends are asked for.

        And the sketches of those commits were written before them, so that they lie before the sketches' end by then. So
        the joiners are asked first of all.
        """
        count = self._partitions()
        positions = {} if self._joined is None else self._joined.positions(count)
        wanted = [Position(self._input, partition) for partition in range(count)]
        answered = self._group.committed(wanted, timeout=TIMEOUT_SECONDS)
        committed = {p.partition: p.offset for p in answered if p.error is None}
        ends = self._ends(self._input, range(count))
        idle = frozenset(p for p in range(count) if self._is_idle(p, committed.get(p, -1), ends[p]))
        self._before = committed
        joined = frozenset[int]() if self._joined is None else self._joined.joined(positions, count) & idle
        return Look(idle, count, self._ends(self._sketches, range(1))[0], joined)

    def _is_idle(self, partition: int, committed: int, end: int) -> bool:
        if committed < 0:  # nobody has begun; there may be nothing to begin with
            return self._probe.holds_nothing(partition, 0, end)
        if committed >= end:
            return True
        # A group that goes on has still something to read.
        stands = self._before.get(partition) == committed
        return stands and self._probe.holds_nothing(partition, committed, end)

    def _partitions(self) -> int:
        topic = self._admin.list_topics(self._input, timeout=TIMEOUT_SECONDS).topics[self._input]
        if topic.error is not None or not topic.partitions:
            raise TransportError(f"topic {self._input} does not exist any more", hint="create it, then start again")
        return len(topic.partitions)

    def _ends(self, topic: str, partitions: range) -> dict[int, int]:
        return ends(self._admin, topic, partitions)


class _Probe:
    """Looks for a record that can be read between an offset and the end; remembers what it found."""

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        own = {"enable.partition.eof": True, "auto.offset.reset": "earliest", "max.partition.fetch.bytes": 1_000}
        self._consumer = client(Consumer, {**config, **own})
        # By partition: there is a record at or behind the first offset, or there is none from it to the second.
        self._records: dict[int, int] = {}
        self._nothing: dict[int, tuple[int, int]] = {}

    def holds_nothing(self, partition: int, start: int, end: int) -> bool:
        if start >= end or self._nothing.get(partition) == (start, end):
            return True
        if start <= self._records.get(partition, -1):
            return False
        found = self._first(partition, start)
        if found is None or (offset := found.offset()) is None or offset < end:
            # The end of what can be read is no record: what an open transaction holds may yet be aborted.
            if found is not None and found.error() is None:
                self._records[partition] = found.offset() or 0
            return False
        self._nothing[partition] = (start, end)
        return True

    def close(self) -> None:
        self._consumer.close()

    def _first(self, partition: int, start: int) -> Message | None:
        """The first record, or the event of the end of what can be read, if that comes first. None: no answer."""
        self._consumer.assign([Position(self._topic, partition, start)])
        deadline = time.monotonic() + PROBE_SECONDS
        try:
            while (left := deadline - time.monotonic()) > 0:
                event = self._consumer.poll(left)
                if event is None or event.partition() != partition:
                    continue
                error = event.error()
                if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public code
                    return event
            return None
        finally:
            self._consumer.unassign()
