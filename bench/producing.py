"""Fills topics with synthetic events: by blocks, evenly over the partitions."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Producer

from bench.events import Shape, draw, encode, keys

BLOCK_EVENTS = 20_000
FLUSH_SECONDS = 60.0
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Pair = tuple[bytes, bytes]


def pairs(shape: Shape, first: int, count: int) -> list[Pair]:
    """Keys and values of the events number ``first`` and so on."""
    events = draw(shape, first, count)
    values = encode(shape, events).to_list()
    return [(key, value or b"") for key, value in zip(keys(events), values, strict=True)]


def producer(bootstrap: str, **options: Any) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "log_level": 3,  # a new broker makes producers wait for its coordinators, with a warning each
            "queue.buffering.max.messages": 10 * BLOCK_EVENTS,
            **options,
        }
    )


def produce_events(
    bootstrap: str, topic: str, shape: Shape, count: int, *, partitions: int, traced: bool = False
) -> None:
    """``traced``: each with a ``traceparent`` header. Raises SystemExit when one is not acknowledged."""
    client = producer(bootstrap)
    for first in range(0, count, BLOCK_EVENTS):
        block = pairs(shape, first, min(BLOCK_EVENTS, count - first))
        if traced:
            _produce_traced(client, topic, block, partitions)
        else:
            produce_block(client, topic, block, partitions)
        flush(client)


def produce_block(client: Producer, topic: str, block: Sequence[Pair], partitions: int) -> None:
    """Event i goes to partition i modulo ``partitions``. ``produce_batch`` takes one partition a call."""
    for partition in range(partitions):
        messages = [{"key": key, "value": value} for key, value in itertools.islice(block, partition, None, partitions)]
        if client.produce_batch(topic, messages, partition) != len(messages):
            sys.exit(f"error: the producer did not take {len(messages)} events for {topic}")


def flush(client: Producer) -> None:
    if left := client.flush(FLUSH_SECONDS):
        sys.exit(f"error: {left} events were not acknowledged within {FLUSH_SECONDS:.0f} s")


def _produce_traced(client: Producer, topic: str, block: Sequence[Pair], partitions: int) -> None:
    for number, (key, value) in enumerate(block):
        client.produce(topic, value, key, number % partitions, headers=[("traceparent", TRACEPARENT)])
