"""The consuming edge in memory: one member of a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from worker.errors import TransportError
from worker.ports import Fetch, FetchLimit
from worker.records import Record, RecordBatch, TopicPartition
from worker.testing.group import CommittedOffset, Generation
from worker.testing.kafka import InMemoryKafka


class InMemorySource:
    """Implements ``ports.RecordSource``. A poll that finds nothing lets its time-out pass on the broker's clock."""

    def __init__(
        self, kafka: InMemoryKafka, topic: str, group: str, start: Literal["earliest", "latest"] = "earliest"
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = kafka.group(group)
        self._start = start
        self._member = ""  # joins with its first poll
        self._positions: dict[TopicPartition, int] = {}
        self._waiting: set[TopicPartition] = set()  # ours, but an open transaction may still move their offset
        self._polls = 0
        self._closed = False

    def poll(self, limit: FetchLimit) -> Fetch:
        with self._kafka.faults.around("poll"):
            return self._poll(limit)

    def rewind(self, batch: RecordBatch) -> None:
        self._positions.update({tp: at for tp, at in batch.first_offsets().items() if tp in self._positions})

    def lag(self) -> Mapping[TopicPartition, int]:
        return {tp: self._kafka.log(tp).stable_end - at for tp, at in sorted(self._positions.items())}

    def partitions(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions.keys() | self._waiting)

    def close(self) -> None:
        self._closed = True
        self._group.leave(self._member)
        self._positions.clear()
        self._waiting.clear()

    def expire(self) -> None:
        """The session times out: the group goes on without us, and we learn it in our next poll."""
        self._group.leave(self._member)

    def _poll(self, limit: FetchLimit) -> Fetch:
        if self._closed:
            raise TransportError("the source is closed")
        self._polls += 1
        unassigned = self._take_part()
        assigned = self._placed()
        generation = Generation(self._member, self._group.generation)
        records = self._taken(limit)
        if not records:
            self._kafka.clock.advance(limit.timeout_seconds)
        return Fetch(RecordBatch.of(records) if records else None, generation, assigned, frozenset(unassigned))

    def _take_part(self) -> set[TopicPartition]:
        """Join if we are no member, hand over and take over; the partitions that are no longer ours."""
        lost: set[TopicPartition] = set()
        if not self._group.has(self._member):
            lost = self._positions.keys() | self._waiting
            self._member = self._group.join(self._kafka.partitions(self._topic))
        revoked, assigned = self._group.sync(self._member)
        for tp in lost | revoked:
            self._positions.pop(tp, None)
        self._waiting = (self._waiting - lost - revoked) | assigned
        return lost | revoked

    def _placed(self) -> dict[TopicPartition, str]:
        """Start on the partitions whose offset is known for certain; the metadata committed for each."""
        stable = {tp for tp in self._waiting if self._group.is_stable(tp)}
        self._waiting -= stable
        metadata = {}
        for tp in sorted(stable):
            committed = self._group.committed.get(tp) or self._resolved(tp)
            self._positions[tp] = committed.offset
            metadata[tp] = committed.metadata
        return metadata

    def _resolved(self, tp: TopicPartition) -> CommittedOffset:
        """The configured start, committed at once: a crash before the first commit must not move ``latest``."""
        log = self._kafka.log(tp)
        start = CommittedOffset(log.start if self._start == "earliest" else log.stable_end)
        self._group.committed[tp] = start
        return start

    def _taken(self, limit: FetchLimit) -> list[Record]:
        """Within the limits, and at least one record if there is any; another partition comes first each time."""
        taken: list[Record] = []
        if not limit.max_records:
            return taken
        room = limit.max_bytes
        partitions = sorted(self._positions)
        turn = self._polls % len(partitions) if partitions else 0
        for tp in partitions[turn:] + partitions[:turn]:
            log, at = self._kafka.log(tp), self._positions[tp]
            if not log.start <= at <= log.end:
                raise TransportError(
                    f"{tp}: the committed offset {at} is gone; the topic holds {log.start} to {log.end}",
                    hint="decide where to go on, and commit that offset; nothing was skipped",
                )
            for entry in log.entries(at, log.stable_end):
                record = entry.record
                if record is not None and entry.visible:
                    room -= len(record.key or b"") + len(record.value or b"")
                    if taken and (len(taken) == limit.max_records or room < 0):
                        return taken
                    taken.append(record)
                self._positions[tp] = entry.offset + 1
        return taken
