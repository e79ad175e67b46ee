"""The exactly-once sink: outputs and input offsets in one transaction, which never spans a consume.

What is done about an error depends on its flags alone: fatal ends the process; one that requires an abort aborts, and
the batch is read again; a retriable one is tried again with the *same* call and arguments, since going on to the next
would tear the transaction. An unknown outcome ends the process: a new one with the same id learns it from the broker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as Position

from worker.errors import DeliveryAborted, TransportError
from worker.kafka.errors import client, error_of, refused_for_good, stopping
from worker.kafka.native.library import Library, handle_of
from worker.kafka.native.outbox import Outbox
from worker.kafka.rights import WRITE, Right, lacking
from worker.kafka.watchdog import Watchdog
from worker.ports import Clock
from worker.records import Committable, OutgoingBatch

_LOG = logging.getLogger(__name__)
RETRIES = 5


class TransactionalSink:
    """Implements ``ports.RecordSink``."""

    def __init__(
        self, config: Mapping[str, Any], watchdog: Watchdog, clock: Clock, init_deadline_seconds: float
    ) -> None:
        self._watchdog = watchdog
        self._producer = client(Producer, config)
        library = Library()
        self._outbox = Outbox(library, handle_of(library, self._producer))
        self._initialise(config["transactional.id"], clock, init_deadline_seconds)

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        producer = self._producer
        offsets = [
            Position(tp.topic, tp.partition, offset, committable.metadata.get(tp, ""))
            for tp, offset in committable.offsets.items()
        ]
        self._call("begin_transaction", producer.begin_transaction)
        try:
            for batch in outgoing:
                self._outbox.put(batch)
        except BufferError as error:
            self._abort("produce", error)
        self._call("send_offsets_to_transaction", producer.send_offsets_to_transaction, offsets, committable.generation)
        self._call("commit_transaction", producer.commit_transaction)

    def settle(self) -> None:
        """Nothing is under way between deliveries."""

    def close(self) -> None:
        """Nothing is open between deliveries, so there is nothing to wait for."""
        self._outbox.close()

    def _initialise(self, transactional_id: str, clock: Clock, deadline_seconds: float) -> None:
        """Take over our transactional id, which ends what a predecessor left open."""
        deadline = clock.monotonic() + deadline_seconds
        while True:
            try:
                self._producer.init_transactions(5)
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
                    raise lacking([Right(WRITE, "transactional id", transactional_id)]) from None
                if not error.retriable() or clock.monotonic() >= deadline:
                    raise stopping("init_transactions", error) from None
                _LOG.warning("init_transactions: %s; trying again", error.str())
            else:
                return

    def _call(self, name: str, call: Callable[..., Any], *arguments: object) -> None:
        for attempt in range(RETRIES):
            try:
                with self._watchdog.guard(name):
                    call(*arguments)
            except KafkaException as exception:
                error = error_of(exception)
                if error.fatal():
                    raise stopping(name, error) from None
                if error.txn_requires_abort():
                    self._abort(name, error)
                if not error.retriable():
                    raise stopping(name, error) from None
                _LOG.warning("%s: %s; trying again (%d of %d)", name, error.str(), attempt + 1, RETRIES)
            else:
                return
        raise TransportError(
            f"{name} failed {RETRIES} times", hint="the transaction's outcome is unknown; restart the worker"
        )

    def _abort(self, name: str, cause: KafkaError | BufferError) -> NoReturn:
        """Abort, so that nothing of the transaction can become visible; then raise what the cause means."""
        try:
            with self._watchdog.guard("abort_transaction"):
                self._producer.abort_transaction()
        except KafkaException as exception:
            raise stopping(f"abort_transaction after {name} ({cause})", error_of(exception)) from None
        if isinstance(cause, KafkaError) and refused_for_good(cause):
            raise stopping(name, cause)
        raise DeliveryAborted(f"{name}: {cause.str() if isinstance(cause, KafkaError) else cause}")
