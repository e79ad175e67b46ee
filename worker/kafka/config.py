"""Settings to librdkafka's configuration: ours where a law or a measurement stands behind it, the user's elsewhere."""

from __future__ import annotations

import logging
from typing import Any

from worker.settings import Settings

_LOG = logging.getLogger("kafka")
CONSUMER, PRODUCER = "consumer.", "producer."
# Of records; what librdkafka keeps beside each is about 400 bytes more.
_PREFETCH_KB, _LEAST_PREFETCH_KB = 8_192, 256


def admin_config(settings: Settings) -> dict[str, Any]:
    """For metadata and administration; neither group nor transactions."""
    return _common(settings) | _options(settings, None)


def consumer_config(settings: Settings, partitions: int = 1) -> dict[str, Any]:
    """One member of the group. A dead member's partitions are free after 6 s (classic) or 45 s (KIP-848).

    ``partitions`` is how many there may be for it: each has a queue of its own, and together they must be bounded.
    """
    kafka = settings.kafka
    prefetch_kb = max(_LEAST_PREFETCH_KB, _PREFETCH_KB // partitions)
    by_protocol: dict[str, dict[str, Any]] = {
        "classic": {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 2_000,
        },
        "consumer": {"group.protocol": "consumer"},
    }
    tuned = {
        # A batch should find its records waiting, at a bounded cost of memory.
        "queued.max.messages.kbytes": prefetch_kb,
        # Once a queue is full, ask for more this soon again; by default it would run empty meanwhile.
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 100,
        "max.partition.fetch.bytes": min(1_024 * prefetch_kb, 1_000_000),
    }
    lawful = {
        "group.id": kafka.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        # Also makes the client ask for stable offsets: a new owner waits for the old one's open transaction.
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
    }
    return _common(settings) | by_protocol[kafka.protocol] | tuned | _options(settings, CONSUMER) | lawful


def producer_config(settings: Settings, transactional_id: str | None) -> dict[str, Any]:
    """An idempotent producer; transactional with an id."""
    delivery = settings.delivery
    tuned = {
        "linger.ms": 5,
        "batch.size": 1_000_000,
        "batch.num.messages": 100_000,
        # The broker answers "concurrent transactions" until the last one is marked: retry that soon, all else in time.
        "retry.backoff.ms": 5,
        "retry.backoff.max.ms": 1_000,
        # One batch must fit whole, whatever its size: a full queue would mean an abort.
        "queue.buffering.max.messages": 2 * delivery.max_batch_records + 1_000,
        "queue.buffering.max.kbytes": 2_097_151,
        # What could be consumed can be handed on: the topics' own limits decide.
        "message.max.bytes": 1_000_000_000,
    }
    lawful: dict[str, Any] = {
        "enable.idempotence": True,
        "acks": "all",
    }
    timeout_ms = int(delivery.transaction_timeout_seconds * 1_000)
    if transactional_id is not None:
        lawful |= {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": timeout_ms,
        }
    else:
        # Nobody flushes a batch that nobody waits for.
        tuned |= {"linger.ms": 0}
        lawful |= {"message.timeout.ms": int(delivery.broker_timeout_seconds * 1_000)}
    return _common(settings) | tuned | _options(settings, PRODUCER) | lawful


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.kafka.bootstrap,
        "client.id": settings.kafka.group,
        "reconnect.backoff.max.ms": 2_000,
        "logger": _LOG,
    }


def _options(settings: Settings, scope: str | None) -> dict[str, Any]:
    """The user's options; as in Kafka Streams, ``consumer.`` or ``producer.`` in front restricts one to that client."""
    options = settings.kafka.resolved_options()
    shared = {name: value for name, value in options.items() if not name.startswith((CONSUMER, PRODUCER))}
    if scope is None:
        return shared
    return shared | {name.removeprefix(scope): value for name, value in options.items() if name.startswith(scope)}
