"""Batches of records as columns, and what may be committed with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from worker.records.headers import HeaderColumns, Headers
from worker.records.slices import IntArray, Slices
from worker.records.value import value_class

_FEW_ROWS = 20


class TopicPartition(NamedTuple):
    """A tuple, since it is hashed and compared for every batch."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Record:
    """One record, as Kafka holds it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@value_class
class RecordBatch:
    """n records of one topic, in the order in which they were consumed: ascending offsets within each partition.

    ``partition``, ``offset`` and ``timestamp_ms`` are int64 arrays of length n.
    """

    topic: str
    partition: IntArray
    offset: IntArray
    timestamp_ms: IntArray
    keys: Slices
    values: Slices
    headers: HeaderColumns = field(default_factory=HeaderColumns.none)

    def __len__(self) -> int:
        return len(self.partition)

    @property
    def size_bytes(self) -> int:
        return self.keys.size_bytes + self.values.size_bytes

    def counts(self) -> list[tuple[int, int]]:
        """The partitions that have records, in ascending order, and how many."""
        if len(self) <= _FEW_ROWS:
            return sorted(Counter(self.partition.tolist()).items())
        return [(number, count) for number, count in enumerate(np.bincount(self.partition).tolist()) if count]

    def record(self, index: int) -> Record:
        return Record(
            topic=self.topic,
            partition=int(self.partition[index]),
            offset=int(self.offset[index]),
            timestamp_ms=int(self.timestamp_ms[index]),
            key=self.keys[index],
            value=self.values[index],
            headers=self.headers.get(index, ()),
        )

    def first_offsets(self) -> dict[TopicPartition, int]:
        """Where each partition must be read again from, should the batch be given up."""
        return self._last_of_each(self.partition[::-1], self.offset[::-1])

    def next_offsets(self) -> dict[TopicPartition, int]:
        """What may be committed once everything that came of the batch is durable: always the *next* offset."""
        return self._last_of_each(self.partition, self.offset + 1)

    def _last_of_each(self, partition: IntArray, offset: IntArray) -> dict[TopicPartition, int]:
        """By partition, in ascending order, the last of its offsets in the given order of the rows."""
        if len(partition) <= _FEW_ROWS:
            known = dict(zip(partition.tolist(), offset.tolist(), strict=True))
            return {TopicPartition(self.topic, number): known[number] for number in sorted(known)}
        last = np.full(int(partition.max(initial=-1)) + 1, -1, np.int64)
        last[partition] = offset  # of a place that is named repeatedly, the last value stays
        found = np.flatnonzero(last >= 0)
        pairs = zip(found.tolist(), last[found].tolist(), strict=True)
        return {TopicPartition(self.topic, partition): offset for partition, offset in pairs}

    @staticmethod
    def of(records: Iterable[Record]) -> RecordBatch:
        rows = list(records)
        topics = {row.topic for row in rows}
        if len(topics) != 1:
            raise ValueError(f"a batch holds records of one topic, not {sorted(topics)}")
        return RecordBatch(
            topic=rows[0].topic,
            partition=np.array([row.partition for row in rows], np.int64),
            offset=np.array([row.offset for row in rows], np.int64),
            timestamp_ms=np.array([row.timestamp_ms for row in rows], np.int64),
            keys=Slices.of([row.key for row in rows]),
            values=Slices.of([row.value for row in rows]),
            headers=HeaderColumns.of(enumerate(row.headers for row in rows)),
        )


@value_class
class OutgoingBatch:
    """n records to be written to one topic, each to a partition of our choice (its input's), in this order."""

    topic: str
    partition: IntArray
    keys: Slices
    values: Slices
    headers: HeaderColumns = field(default_factory=HeaderColumns.none)

    def __len__(self) -> int:
        return len(self.partition)


@value_class
class Committable:
    """What may be committed with a batch's results.

    ``offsets`` are *next* offsets; ``metadata`` is kept by the group coordinator beside each (the dead-letter counters
    travel there). ``generation`` is the source's own token for the membership under which the batch was read; a sink
    hands it on unseen.
    """

    offsets: Mapping[TopicPartition, int]
    metadata: Mapping[TopicPartition, str] = field(default_factory=dict)
    generation: object = None
