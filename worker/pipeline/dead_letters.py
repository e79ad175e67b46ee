"""Refused records to dead letters: key and value unchanged, and headers that say what happened and where it came from.

Names of the headers follow one of three dialects. ``kafka`` is that of KIP-1191, which a broker's own share groups use.
Text in them never holds a value of the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.records import HeaderColumns, Headers, OutgoingBatch, RecordBatch, Refusal

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

    def letters(self, batch: RecordBatch, refusals: Sequence[Refusal]) -> OutgoingBatch:
        """One dead letter a refusal, in offset order."""
        ordered = sorted(refusals, key=lambda refusal: refusal.row)
        rows = np.array([refusal.row for refusal in ordered], np.int64)
        return OutgoingBatch(
            topic=self.topic,
            partition=batch.partition[rows],
            keys=batch.keys.take(rows),
            values=batch.values.take(rows),
            headers=HeaderColumns.of(enumerate(self._headers(batch, refusal) for refusal in ordered)),
        )

    def _headers(self, batch: RecordBatch, refusal: Refusal) -> Headers:
        topic, partition, offset, group, message = DIALECTS[self.dialect]
        ours = [
            (topic, batch.topic),
            (partition, str(int(batch.partition[refusal.row]))),
            (offset, str(int(batch.offset[refusal.row]))),
            (group, self.group),
            (message, refusal.detail),
            (STAGE, refusal.stage.value),
            (REASON, refusal.reason.value),
            *([(FIELD, refusal.field)] if refusal.field else []),
            (WORKER_VERSION, self.worker_version),
            (MODEL_VERSION, self.model_version),
        ]
        encoded = tuple((name, text.encode()) for name, text in ours)
        forged = {name for name, _ in encoded} | {FIELD}
        return (*self._kept(batch.headers.get(refusal.row, ()), forged), *encoded)

    def _kept(self, headers: Headers, forged: set[str]) -> Headers:
        """The record's own headers within the caps, less any that pretend to be ours; the loop guard in any case."""
        counts = [value for name, value in headers if name == REPLAYS and value and len(value) <= _COUNT_DIGITS]
        guard = [(REPLAYS, max(counts, key=_as_number))] if counts else []
        kept: list[tuple[str, bytes | None]] = []
        room = self.max_header_bytes
        for name, value in headers:
            if name == REPLAYS:
                continue
            room -= len(name.encode()) + len(value or b"")
            if len(kept) == self.max_headers or room < 0:
                break
            if name not in forged:
                kept.append((name, value))
        return (*guard, *kept)


def _as_number(count: bytes) -> int:
    return int(count) if count.isdigit() else -1
