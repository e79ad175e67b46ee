"""confluent-kafka's messages to columnar batches, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from confluent_kafka import Message

from worker.records import HeaderColumns, Headers, OutgoingBatch, RecordBatch, Slices


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


def plain_messages(outgoing: OutgoingBatch) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """By partition, for ``produce_batch``, which would drop headers silently: only for batches without any.

    It ignores a message's own ``partition`` as well (it hands librdkafka no RD_KAFKA_MSG_F_PARTITION), so every
    partition takes a call of its own.
    """
    order = np.argsort(outgoing.partition, kind="stable")
    values, keys = outgoing.values.take(order).to_list(), outgoing.keys.take(order).to_list()
    messages = [{"value": value, "key": key} for value, key in zip(values, keys, strict=True)]
    partitions, first = np.unique(outgoing.partition[order], return_index=True)
    bounds = [*first.tolist(), len(messages)]
    for i, partition in enumerate(partitions.tolist()):
        yield partition, messages[bounds[i] : bounds[i + 1]]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _headers(message: Message) -> Headers:
    """Empty where a header's name is not UTF-8: the client can't give such headers to anybody."""
    try:
        found: Any = message.headers()
    except (SystemError, UnicodeDecodeError):  # which of the two depends on the client's version
        return ()
    pairs = found.items() if isinstance(found, dict) else found or ()
    return tuple((name, _bytes(value)) for name, value in pairs)
