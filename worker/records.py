"""The values that flow: batches of records as columns, and what becomes of them.

A batch is columnar from edge to edge: one byte buffer and arrays of positions. A ``Record`` object is made only for
what leaves the fast way (a dead letter, a report to a person).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
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


@dataclass(frozen=True, slots=True)
class Slices:
    """n byte strings in one buffer; ``start[i] == -1`` stands for null.

    ``start`` and ``end`` are int64 arrays of length n, in bytes.
    """

    buffer: bytes | bytearray | memoryview
    start: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: int) -> bytes | None:
        start = int(self.start[index])
        return None if start < 0 else bytes(self.buffer[start : int(self.end[index])])

    def to_list(self) -> list[bytes | None]:
        """All as ``bytes`` objects, for an edge that needs them."""
        buffer = self.buffer if isinstance(self.buffer, bytes) else bytes(self.buffer)
        return [
            None if start < 0 else buffer[start:end]
            for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)
        ]

    def take(self, indices: IntArray) -> Slices:
        return Slices(self.buffer, self.start[indices], self.end[indices])

    @staticmethod
    def joined(parts: Sequence[Slices]) -> Slices:
        """One after another, in one buffer."""
        shifts = np.cumsum([0, *(len(part.buffer) for part in parts[:-1])]).tolist()
        start = [np.where(part.start < 0, -1, part.start + shift) for part, shift in zip(parts, shifts, strict=True)]
        end = [part.end + shift for part, shift in zip(parts, shifts, strict=True)]
        return Slices(b"".join(part.buffer for part in parts), np.concatenate(start), np.concatenate(end))

    @staticmethod
    def of(items: Sequence[bytes | None]) -> Slices:
        lengths = np.fromiter((0 if item is None else len(item) for item in items), np.int64, len(items))
        end = np.cumsum(lengths, dtype=np.int64)
        start = end - lengths
        if None in items:
            start[[i for i, item in enumerate(items) if item is None]] = -1
        return Slices(b"".join(item for item in items if item is not None), start, end)


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """n records of one topic, in the order in which they were consumed: ascending offsets within each partition.

    ``partition``, ``offset`` and ``timestamp_ms`` are int64 arrays of length n; ``headers`` holds only the rows that
    have any.
    """

    topic: str
    partition: IntArray
    offset: IntArray
    timestamp_ms: IntArray
    keys: Slices
    values: Slices
    headers: Mapping[int, Headers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.partition)

    @property
    def size_bytes(self) -> int:
        return len(self.keys.buffer) + len(self.values.buffer)

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
            headers={i: row.headers for i, row in enumerate(rows) if row.headers},
        )


@dataclass(frozen=True, slots=True)
class OutgoingBatch:
    """n records to be written to one topic, each to a partition of our choice (its input's), in this order."""

    topic: str
    partition: IntArray
    keys: Slices
    values: Slices
    headers: Mapping[int, Headers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.partition)


class Stage(enum.StrEnum):
    """Where in the flow a record was refused."""

    FRAMING = "framing"
    DECODE = "decode"
    VALIDATE = "validate"
    PREDICT = "predict"


class Reason(enum.StrEnum):
    """Why a record was refused: a closed set, so that dashboards and filters can rely on it."""

    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    UNKNOWN_FRAMING = "unknown_framing"
    UNKNOWN_SCHEMA = "unknown_schema"
    SCHEMA_CONFLICT = "schema_conflict"
    SCHEMA_REFUSED = "schema_refused"
    WRONG_RECORD_TYPE = "wrong_record_type"
    MALFORMED = "malformed"
    TRAILING_BYTES = "trailing_bytes"
    INVALID_VALUE = "invalid_value"
    NULL_NOT_ALLOWED = "null_not_allowed"
    NOT_FINITE = "not_finite"
    BELOW_MINIMUM = "below_minimum"
    ABOVE_MAXIMUM = "above_maximum"
    NOT_IN_ENUM = "not_in_enum"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    PATTERN_MISMATCH = "pattern_mismatch"
    MODEL_RAISED = "model_raised"
    PREDICTION_NOT_FINITE = "prediction_not_finite"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one record of a batch can't be predicted.

    ``detail`` names field and rule; it never holds a value of the record, since dead-letter headers and logs are read
    by people who may not see the data.
    """

    row: int
    stage: Stage
    reason: Reason
    detail: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Committable:
    """What may be committed with a batch's results.

    ``offsets`` are *next* offsets; ``metadata`` is kept by the group coordinator beside each (the dead-letter counters
    travel there). ``generation`` is the source's own token for the membership under which the batch was read; a sink
    hands it on unseen.
    """

    offsets: Mapping[TopicPartition, int]
    metadata: Mapping[TopicPartition, str] = field(default_factory=dict)
    generation: object = None
