"""librdkafka's own options: the ones that are refused, and secrets among the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError

_REFERENCES = ("env:", "file:")
_SECRET_WORDS = ("password", "passphrase", "secret", "key.pem", "sasl.jaas")
# Options whose value may hold a secret, or stands next to one: not shown, but nobody is made to keep them apart.
_HIDDEN_WORDS = (*_SECRET_WORDS, "token", "ssl.key", "oauthbearer.config", "certificate.pem")

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


LEAST_POLL_INTERVAL_MS = 10_000
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def unprotected(options: Mapping[str, object]) -> str | None:
    """What is wrong where a password would go over the network as it is: SASL/PLAIN without TLS."""
    for scope in ("consumer.", "producer."):
        of_client = {**options} | {
            name.removeprefix(scope): options[name] for name in options if name.startswith(scope)
        }
        protocol = str(of_client.get("security.protocol", "")).lower()
        mechanism = str(of_client.get("sasl.mechanism", of_client.get("sasl.mechanisms", ""))).upper()
        if protocol == "sasl_plaintext" and mechanism == "PLAIN":
            return (
                "sasl.mechanism PLAIN sends the password itself, and security.protocol SASL_PLAINTEXT does not encrypt "
                "it: use SASL_SSL, or SCRAM-SHA-512"
            )
    return None


def impatient(options: Mapping[str, Any]) -> str | None:
    """What is wrong where a member would be given up in mid-batch. Raises ValueError for an interval that is no number."""
    found = (options.get(f"{scope}max.poll.interval.ms") for scope in ("", "consumer.", "producer."))
    if any(interval is not None and int(interval) < LEAST_POLL_INTERVAL_MS for interval in found):
        return f"max.poll.interval.ms must be at least {LEAST_POLL_INTERVAL_MS}, or the group gives a member up in mid-batch"
    return None


def is_secret(name: str, value: object) -> bool:
    """Whether an option's value must never be shown; a reference to a secret may be."""
    return any(word in name for word in _HIDDEN_WORDS) and not is_reference(value)


def must_be_apart(name: str, value: object) -> bool:
    """Whether an option's value is a secret that a settings file must not hold itself."""
    return any(word in name for word in _SECRET_WORDS) and not is_reference(value)


def is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_REFERENCES)


def resolved(setting: str, value: str | float | bool) -> str | int | float | bool:
    """The value, or the secret that an ``env:`` or ``file:`` reference names. Raises ConfigurationError."""
    if not isinstance(value, str) or not is_reference(value):
        return value
    kind, _, place = value.partition(":")
    try:
        return os.environ[place] if kind == "env" else Path(place).read_text(encoding="utf-8").strip()
    except KeyError:
        raise ConfigurationError(f"{setting} names the environment variable {place}, which is not set") from None
    except OSError as error:
        raise ConfigurationError(f"{setting} names the file {place}: {error.strerror}") from None
