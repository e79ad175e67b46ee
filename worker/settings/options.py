"""librdkafka's own options: the ones that are refused, and secrets among the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from worker.errors import ConfigurationError

_REFERENCES = ("env:", "file:")
_SECRET_WORDS = (
    "password",
    "secret",
    "token",
    "key.pem",
    "ssl.key",
    "sasl.jaas",
    "oauthbearer.config",
    "certificate.pem",
)

# librdkafka options that would break one of the two laws, or that have a name of their own here; with what to use instead.
REFUSED_OPTIONS: Mapping[str, str] = {
    "bootstrap.servers": "use kafka.bootstrap",
    "metadata.broker.list": "use kafka.bootstrap",
    "group.id": "use kafka.group",
    "group.protocol": "use kafka.protocol",
    "partition.assignment.strategy": "partitions are handed over cooperatively",
    "enable.auto.commit": "offsets are committed only with what came of the records",
    "enable.auto.offset.store": "offsets are committed only with what came of the records",
    "auto.commit.interval.ms": "offsets are committed only with what came of the records",
    "auto.offset.reset": "use delivery.start; a reset in mid-stream would skip records silently",
    "isolation.level": "aborted records must not be predicted",
    "enable.idempotence": "without it a retry doubles and reorders records",
    "acks": "a record is delivered when all in-sync replicas have it",
    "request.required.acks": "a record is delivered when all in-sync replicas have it",
    "transactional.id": "it is made from kafka.group, the host's name and a slot",
    "transaction.timeout.ms": "use delivery.transaction_timeout_seconds",
    "enable.partition.eof": "the worker needs no end-of-partition events",
    "message.timeout.ms": "a record that times out would be lost; use delivery.broker_timeout_seconds",
    "delivery.timeout.ms": "a record that times out would be lost; use delivery.broker_timeout_seconds",
}


def is_secret(name: str, value: object) -> bool:
    """Whether an option's value must never be shown; a reference to a secret may be."""
    secret = any(word in name for word in _SECRET_WORDS)
    return secret and not (isinstance(value, str) and value.startswith(_REFERENCES))


def resolved(name: str, value: str | float | bool) -> str | int | float | bool:
    """The value, or the secret that an ``env:`` or ``file:`` reference names. Raises ConfigurationError."""
    if not isinstance(value, str) or not value.startswith(_REFERENCES):
        return value
    kind, _, place = value.partition(":")
    try:
        return os.environ[place] if kind == "env" else Path(place).read_text(encoding="utf-8").strip()
    except KeyError:
        raise ConfigurationError(
            f"kafka.options.{name} names the environment variable {place}, which is not set"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"kafka.options.{name} names the file {place}: {error.strerror}") from None
