"""librdkafka's errors to ours: the flags on an error decide, not its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from worker.errors import ConfigurationError, Fenced, TransportError, WorkerError

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001 - public codes
# With what to look at.
NOT_ALLOWED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the ACLs of the topics; started again, we name the ones that are missing",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the ACLs of the group; started again, we name the ones that are missing",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "the ACLs of transactional ids; started again, we name the one that is missing",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the ACLs of the cluster",
}


Client = TypeVar("Client")
Answer = TypeVar("Answer")
_AGAIN_SECONDS = 0.2


def client(make: Callable[[dict[str, Any]], Client], config: Mapping[str, Any]) -> Client:
    """A client of librdkafka's. Raises ConfigurationError for an option that it does not know or take."""
    try:
        return make(dict(config))
    except KafkaException as error:
        raise ConfigurationError(
            f"kafka.options: {error_of(error).str()}", hint="see librdkafka's CONFIGURATION.md"
        ) from None


# Trying again would end the same way: somebody has to change the topic or its permissions first.
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
# The broker is moving something, or starting: asked again, it answers.
_MOVING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
}


def is_passing(error: KafkaError) -> bool:
    """Whether a question that was answered so may be asked again."""
    return not error.fatal() and error.code() in _MOVING


def asked(question: Callable[[], Answer], seconds: float) -> Answer:
    """The answer, asked for again while the broker is moving something, for at most so long. Raises KafkaException."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return question()
        except KafkaException as exception:
            if not is_passing(error_of(exception)) or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_SECONDS)


def refused_for_good(error: KafkaError) -> bool:
    """Whether what was written will be refused each time: too large for its topic, or not permitted."""
    return error.code() in _TOO_LARGE or error.code() in NOT_ALLOWED


def error_of(exception: KafkaException) -> KafkaError:
    error: KafkaError = exception.args[0]
    return error


def stopping(call: str, error: KafkaError) -> WorkerError:
    """The error that ends the process for what a call ended with."""
    if error.code() in _FENCED:
        return Fenced(
            f"{call}: another worker has taken over our transactional id", hint="this process was replaced; let it end"
        )
    if error.code() in _TOO_LARGE:
        hint = "raise max.message.bytes of the output topics to the input's; nothing was committed past this record"
        return ConfigurationError(f"{call}: a record is too large for its topic ({error.str()})", hint=hint)
    if error.code() in NOT_ALLOWED:
        return ConfigurationError(f"{call}: {error.str()}", hint=f"check {NOT_ALLOWED[error.code()]}")
    return TransportError(f"{call}: {error.str()} ({error.name()})")
