"""confluent-kafka's messages to columnar batches, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from confluent_kafka import Message

from worker.records import Headers, OutgoingBatch, RecordBatch, Slices


def batch_of(messages: Sequence[Message]) -> RecordBatch:
    """A batch of at least one record, all of one topic."""
    count = len(messages)
    topic = messages[0].topic()
    assert topic is not None
    return RecordBatch(
        topic=topic,
        partition=np.fromiter((m.partition() or 0 for m in messages), np.int64, count),
        offset=np.fromiter((m.offset() or 0 for m in messages), np.int64, count),
        timestamp_ms=np.fromiter((m.timestamp()[1] for m in messages), np.int64, count),
        keys=Slices.of([_bytes(m.key()) for m in messages]),
        values=Slices.of([_bytes(m.value()) for m in messages]),
        headers={i: _headers(headers) for i, m in enumerate(messages) if (headers := m.headers())},
    )


def plain_messages(outgoing: OutgoingBatch) -> list[dict[str, Any]]:
    """For ``produce_batch``, which would drop headers silently: only for batches without any."""
    columns = zip(outgoing.values.to_list(), outgoing.keys.to_list(), outgoing.partition.tolist(), strict=True)
    return [{"value": value, "key": key, "partition": partition} for value, key, partition in columns]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _headers(headers: Any) -> Headers:
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, _bytes(value)) for name, value in pairs)
