"""Refused records to dead letters: key and value unchanged, and headers that say what happened and where it came from.

Names of the headers follow one of three dialects. ``kafka`` is that of KIP-1191, which a broker's own share groups use.
Text in them never holds a value of the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.records import HeaderColumns, IntArray, OutgoingBatch, RecordBatch, Refusals, Slices
from worker.records.headers import interleaved

# What each dialect calls: topic, partition, offset, group, exception's message.
DIALECTS: dict[str, tuple[str, str, str, str, str]] = {
    "kafka": (
        "__dlq.errors.topic",
        "__dlq.errors.partition",
        "__dlq.errors.offset",
        "__dlq.errors.group",
        "__dlq.errors.message",
    ),
    "connect": (
        "__connect.errors.topic",
        "__connect.errors.partition",
        "__connect.errors.offset",
        "__connect.errors.task.id",
        "__connect.errors.exception.message",
    ),
    "spring": (
        "kafka_dlt-original-topic",
        "kafka_dlt-original-partition",
        "kafka_dlt-original-offset",
        "kafka_dlt-original-consumer-group",
        "kafka_dlt-exception-message",
    ),
}
STAGE, REASON, FIELD = "stage", "reason", "field"
WORKER_VERSION, MODEL_VERSION = "worker.version", "model.version"
# How often a record was replayed from the dead-letter topic: what fails again carries its count on, so no loop is endless.
REPLAYS = "__dlq.replays"
_COUNT_DIGITS = 19
# Places among the headers that we add.
OFFSET_COLUMN, FIELD_COLUMN = 2, 7


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """Where dead letters go, how they are labelled, and how much of a record's own headers they keep."""

    topic: str
    group: str
    worker_version: str
    model_version: str
    dialect: str = "kafka"
    max_headers: int = 64
    max_header_bytes: int = 16_384

    def letters(self, batch: RecordBatch, refusals: Refusals) -> OutgoingBatch:
        """One dead letter a refusal, in offset order."""
        ordered = refusals.in_order()
        rows = ordered.rows
        headers = self._said(batch, ordered)
        if batch.headers:
            headers = interleaved([*self._kept(batch.headers.take(rows)), headers])
        return OutgoingBatch(
            topic=self.topic,
            partition=batch.partition[rows],
            keys=batch.keys.take(rows),
            values=batch.values.take(rows),
            headers=headers,
        )

    def _said(self, batch: RecordBatch, refusals: Refusals) -> HeaderColumns:
        """What we say of each: every text stands in the buffer once, but for the offsets."""
        partitions, partition = np.unique(batch.partition[refusals.rows], return_inverse=True)
        causes, kind = refusals.causes, refusals.kind
        columns: list[tuple[Sequence[str], IntArray]] = [
            ([batch.topic], 0 * kind),
            ([str(number) for number in partitions.tolist()], partition.reshape(-1)),
            ([], np.arange(len(kind))),  # the offsets, which come behind all other texts
            ([self.group], 0 * kind),
            ([cause.detail for cause in causes], kind),
            ([cause.stage for cause in causes], kind),
            ([cause.reason for cause in causes], kind),
            ([cause.field or "" for cause in causes], kind),
            ([self.worker_version], 0 * kind),
            ([self.model_version], 0 * kind),
        ]
        texts = [text.encode() for column, _ in columns for text in column]
        first = np.cumsum([0, *(len(column) for column, _ in columns[:-1])])
        first[OFFSET_COLUMN] = len(texts)
        places = first + np.column_stack([place for _, place in columns])
        said = np.ones(places.shape, np.bool_)
        said[:, FIELD_COLUMN] = np.array([cause.field is not None for cause in causes], np.bool_)[kind]
        row, name = np.nonzero(said)
        values = Slices.joined([Slices.of(texts), _decimals(batch.offset[refusals.rows])])
        return HeaderColumns(row, Slices.of(self._names()).take(name), values.take(places[said]))

    def _names(self) -> list[bytes]:
        """In the order of the columns."""
        own = (STAGE, REASON, FIELD, WORKER_VERSION, MODEL_VERSION)
        return [name.encode() for name in (*DIALECTS[self.dialect], *own)]

    def _kept(self, headers: HeaderColumns) -> tuple[HeaderColumns, HeaderColumns]:
        """The loop guard in any case; the record's own headers within the caps, less any that pretend to be ours."""
        names, values = headers.names, headers.values
        counts = names.equal_to(REPLAYS.encode())
        forged = np.logical_or.reduce([names.equal_to(name) for name in self._names()])
        size = np.where(counts, 0, names.end - names.start + np.where(values.start < 0, 0, values.end - values.start))
        kept = ~(forged | counts)
        # Both sums are of the record's headers up to this one: the first that does not fit ends them.
        within = headers.running(size) <= self.max_header_bytes
        within &= headers.running(kept.astype(np.int64)) <= self.max_headers
        return headers.entries(_guards(headers, np.flatnonzero(counts))), headers.entries(np.flatnonzero(kept & within))


def _guards(headers: HeaderColumns, entries: IntArray) -> IntArray:
    """Of each record's counts of replays the greatest."""
    best: dict[int, tuple[int, int]] = {}
    for entry, row in zip(entries.tolist(), headers.row[entries].tolist(), strict=True):
        count = headers.values[entry]
        if count and len(count) <= _COUNT_DIGITS:
            number = int(count) if count.isdigit() else -1
            if row not in best or number > best[row][0]:
                best[row] = number, entry
    return np.array([entry for _, entry in best.values()], np.int64)


def _decimals(numbers: IntArray) -> Slices:
    """In digits, none of them negative."""
    digits = numbers.astype("S20")
    start = np.arange(len(digits), dtype=np.int64) * digits.itemsize
    return Slices(digits.tobytes(), start, start + np.char.str_len(digits))
