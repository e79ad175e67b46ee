"""confluent-kafka's messages to columnar batches, where few are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from confluent_kafka import Message

from worker.records import HeaderColumns, Headers, RecordBatch, Slices


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
        headers=HeaderColumns.of(enumerate(map(_headers, messages))),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _headers(message: Message) -> Headers:
    """Empty where a header's name is not UTF-8: the client can't give such headers to anybody."""
    try:
        found: Any = message.headers()
        pairs = found.items() if isinstance(found, dict) else found or ()
        return tuple((name, _bytes(value)) for name, value in pairs)
    except (SystemError, UnicodeDecodeError):
        # The client returns as if nothing had happened, with an exception set: which one is seen where, depends.
        return ()
