"""The exactly-once sink: outputs and input offsets in one transaction.

The group has accepted the offsets before a delivery returns, so no consume can find a transaction that a rebalance would
undo: whoever takes a partition over waits until it is decided. What is left of a large one, writing and committing, goes on
behind the next batch's consuming and predicting.

What is done about an error depends on its flags alone: fatal ends the process; one that requires an abort aborts, and
the batch is read again; a retriable one is tried again with the *same* call and arguments, since going on to the next
would tear the transaction. An unknown outcome ends the process: a new one with the same id learns it from the broker.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as Position

from worker.errors import DeliveryAborted, TransportError, WorkerError
from worker.kafka.errors import client, error_of, refused_for_good, stopping
from worker.kafka.native.library import Library, handle_of
from worker.kafka.native.outbox import Outbox
from worker.kafka.rights import WRITE, Right, lacking
from worker.kafka.watchdog import Watchdog
from worker.ports import Clock
from worker.records import Committable, OutgoingBatch

_LOG = logging.getLogger(__name__)
RETRIES = 5
BEHIND_RECORDS = 500
"""Of smaller batches the next one would wait for most of the commit, after a change of threads."""


class TransactionalSink:
    """Implements ``ports.RecordSink``.

    With ``behind``, large batches are committed behind the next one.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        watchdog: Watchdog,
        clock: Clock,
        init_deadline_seconds: float,
        *,
        behind: bool = False,
    ) -> None:
        self._watchdog = watchdog
        self._producer = client(Producer, config)
        library = Library()
        self._outbox = Outbox(library, handle_of(library, self._producer))
        self._behind = behind
        self._under_way: Future[None] | None = None
        self._failed = False  # behind, and none has been committed since
        self._initialise(config["transactional.id"], clock, init_deadline_seconds)

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        self._see_through()
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
        if self._behind and not self._failed and sum(map(len, outgoing)) >= BEHIND_RECORDS:
            self._under_way = _in_a_thread(self._commit)
        else:
            self._commit()
            self._failed = False

    def settle(self) -> None:
        if self._under_way is not None and self._under_way.done():
            self._see_through()

    def close(self) -> None:
        try:
            self._see_through()
        except WorkerError as error:
            _LOG.warning("the last batch is not known to be committed: %s", error)
        self._outbox.close()

    def _commit(self) -> None:
        self._call("commit_transaction", self._producer.commit_transaction)

    def _see_through(self) -> None:
        """What is under way, to its end."""
        under_way, self._under_way = self._under_way, None
        if under_way is None:
            return
        try:
            under_way.result()
        except DeliveryAborted as error:
            self._failed = True  # so that one that fails again and again is seen to
            raise DeliveryAborted(error.message, earlier=True) from None

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


def _in_a_thread(call: Callable[[], None]) -> Future[None]:
    """Daemonic, unlike an executor's: a process that ends does not wait for it."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, name="commit", daemon=True).start()
    return future
