"""The at-least-once sink: every record acknowledged, then explicit offsets committed, of several batches together.

A small batch waits for nothing of its own: the next one waits until it is acknowledged, and commits, which cost the broker
more than a small batch does, are ``COMMIT_SECONDS`` or ``COMMIT_RECORDS`` apart; only so many records wait for the outcome of
one. After a crash in between, records are doubled, never lost; a doubled one carries the same id, and the same bytes. Who gives
a partition up, or ends, has committed what it delivered.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError

from worker.errors import DeliveryAborted, TransportError, WorkerError
from worker.kafka.errors import stopping
from worker.kafka.membership import is_member
from worker.kafka.native.library import Library
from worker.kafka.native.producer import NativeProducer
from worker.kafka.source import KafkaSource
from worker.kafka.watchdog import Watchdog
from worker.ports import Clock
from worker.records import Committable, OutgoingBatch, TopicPartition

_LOG = logging.getLogger(__name__)
COMMIT_SECONDS, COMMIT_RECORDS = 0.05, 1_000
# Well below any session time-out.
_MEMBER_SECONDS = 1.0
_LOOK_SECONDS = 1.0
MOST_REFUSALS_IN_A_ROW = 5
# The group has moved on without us: what was written stands, and whoever has the partitions now writes it again.
_MOVED_ON = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.STALE_MEMBER_EPOCH,
}


class AtLeastOnceSink:
    """Implements ``ports.RecordSink``; to be closed before the source is, or what was not committed yet is not.

    A commit that was refused because the group was moving on is made again for the partitions that are ours still.
    """

    def __init__(
        self, config: Mapping[str, Any], source: KafkaSource, watchdog: Watchdog, clock: Clock, flush_seconds: float
    ) -> None:
        self._producer = NativeProducer(Library(), config)
        self._commits = source.commits
        self._source = source
        self._watchdog = watchdog
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._written: Committable | None = None  # not known to be acknowledged
        self._due: dict[TopicPartition, tuple[int, str]] = {}
        self._records = 0  # put out since the last commit was begun
        self._begun_at = self._member_at = float("-inf")
        self._refusals = 0
        source.before_giving_up = self._hand_over

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        self._await_acknowledged()
        now = self._clock.monotonic()
        if not self._is_member(now):
            raise DeliveryAborted("commit: the group has gone on without us")
        # The broker does not ask who owns a partition: we must. They change hands only inside the source's poll.
        if lost := sorted(committable.offsets.keys() - self._source.partitions()):
            raise DeliveryAborted(f"commit: {', '.join(map(str, lost))} went to another member")
        try:
            for batch in outgoing:
                self._producer.put(batch)
        except BufferError as error:
            raise TransportError(f"produce: {error}") from None
        self._written = committable
        self._records += sum(map(len, outgoing))
        if self._records >= COMMIT_RECORDS:
            self._await_acknowledged()
            self._await_commit()
            self._commit(now)
        elif now - self._begun_at >= COMMIT_SECONDS:
            self._commit(now)

    def settle(self) -> None:
        self._judge(self._producer.failure())
        now = self._clock.monotonic()
        if self._is_member(now):
            if self._producer.is_idle:
                self._note_acknowledged()
            self._commit(now)

    def close(self) -> None:
        self._hand_over()
        self._producer.close()

    def _await_acknowledged(self) -> None:
        with self._watchdog.guard("flush", self._flush_seconds * 2):
            failure = self._producer.flush(self._flush_seconds)
        self._judge(failure)
        self._note_acknowledged()

    def _judge(self, failure: KafkaError | None) -> None:
        """Of what was written; not all of it was, so nothing of it is ever due."""
        if failure is not None:
            self._written = None
            raise stopping("produce", failure)

    def _note_acknowledged(self) -> None:
        """What was written is due."""
        if self._written is not None:
            texts = self._written.metadata
            self._due.update({tp: (offset, texts.get(tp, "")) for tp, offset in self._written.offsets.items()})
            self._written = None

    def _commit(self, now: float) -> None:
        """What is due, unless a commit is under way."""
        self._look(0)
        if self._commits.under_way is None and self._due:
            self._begun_at = now
            self._commits.begin(self._due)
            self._due, self._records = {}, 0

    def _await_commit(self) -> None:
        with self._watchdog.guard("commit"):
            while self._commits.under_way:
                self._look(_LOOK_SECONDS)

    def _hand_over(self) -> None:
        """Before partitions are given up: commit what is due of them, with all the rest, and see it through."""
        try:
            self._await_acknowledged()
            self._await_commit()
            self._member_at = float("-inf")
            if self._due and self._is_member(now := self._clock.monotonic()):
                self._commit(now)
            self._await_commit()
        except WorkerError as error:
            _LOG.warning("the last records will be read again: %s", error)
        self._due, self._written = {}, None

    def _is_member(self, now: float) -> bool:
        """False once we are thrown out of the group.

        The client commits in its newest generation, and of a member that was thrown out the broker takes it, too, if the
        group has no other members. Asking is a question to another thread, so not for each batch.
        """
        if now - self._member_at < _MEMBER_SECONDS:
            return True
        if is_member(self._source.consumer, self._source.consumer.consumer_group_metadata()):
            self._member_at = now
            return True
        # Whatever was not committed is read again, by whoever has the partitions then.
        self._due, self._written = {}, None
        return False

    def _look(self, seconds: float) -> None:
        """At what became of the commit that is under way."""
        ended = self._commits.ended(seconds)
        if ended is None:
            return
        offsets, failure = ended
        if failure is None:
            self._refusals = 0
            return
        self._refusals += 1
        if failure.code() not in _MOVED_ON or self._refusals > MOST_REFUSALS_IN_A_ROW:
            raise stopping("commit", failure)
        _LOG.warning("commit: %s; made again for the partitions that are ours", failure.str())
        ours = self._source.partitions()
        self._due = {tp: position for tp, position in offsets.items() if tp in ours} | self._due
