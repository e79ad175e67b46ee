"""librdkafka's errors to ours: the flags on an error decide, not its name."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from worker.errors import ConfigurationError, Fenced, TransportError, WorkerError

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001 - public codes
_NOT_ALLOWED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the ACLs of the topics",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the ACLs of the group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "the ACLs of the transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the ACLs of the cluster",
}


def error_of(exception: KafkaException) -> KafkaError:
    error: KafkaError = exception.args[0]
    return error


def stopping(call: str, error: KafkaError) -> WorkerError:
    """The error that ends the process for what a call ended with."""
    if error.code() in _FENCED:
        return Fenced(
            f"{call}: another worker has taken over our transactional id", hint="this process was replaced; let it end"
        )
    if error.code() in _NOT_ALLOWED:
        return ConfigurationError(f"{call}: {error.str()}", hint=f"check {_NOT_ALLOWED[error.code()]}")
    return TransportError(f"{call}: {error.str()} ({error.name()})")
