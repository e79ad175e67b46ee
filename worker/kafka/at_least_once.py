"""The at-least-once sink: every delivery report seen, then a commit of explicit offsets, which the next batch does not wait for.

After a crash in between, records are doubled, never lost; a doubled one carries the same id, and the same bytes.
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
from worker.records import Committable, OutgoingBatch

_LOG = logging.getLogger(__name__)
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
    """Implements ``ports.RecordSink``; to be closed before the source is, or the last commit may fail unseen.

    A batch is not kept waiting for its commit: that is under way when ``deliver`` returns, and has ended before the next
    begins. One that was refused because the group was moving on is made again for what is ours still.
    """

    def __init__(
        self, config: Mapping[str, Any], source: KafkaSource, watchdog: Watchdog, clock: Clock, seconds: float
    ) -> None:
        """``seconds``: in which a batch must be written."""
        self._producer = NativeProducer(Library(), config)
        self._commits = source.commits
        self._source = source
        self._watchdog = watchdog
        self._clock = clock
        self._flush_seconds = seconds
        self._member_at = float("-inf")
        self._refused: Committable | None = None
        self._refusals = 0

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        try:
            for batch in outgoing:
                self._producer.put(batch)
        except BufferError as error:
            raise TransportError(f"produce: {error}") from None
        with self._watchdog.guard("flush", self._flush_seconds * 2):
            failure = self._producer.flush(self._flush_seconds)
        if failure is not None:
            raise stopping("produce", failure)
        with self._watchdog.guard("commit"):
            while self._commits.under_way:
                self._look(_LOOK_SECONDS)
        if not self._is_member():
            raise DeliveryAborted("commit: the group has gone on without us")
        # The broker does not ask who owns a partition: we must. They change hands only inside the source's poll.
        if lost := sorted(committable.offsets.keys() - self._source.partitions()):
            raise DeliveryAborted(f"commit: {', '.join(map(str, lost))} went to another member")
        self._commits.begin(self._with_refused(committable))

    def settle(self) -> None:
        self._look(0)
        # Thrown out, we lose the partitions with the next poll.
        if self._refused is not None and self._is_member():
            again = self._with_refused(Committable({}))
            if again.offsets:
                self._commits.begin(again)

    def close(self) -> None:
        try:
            with self._watchdog.guard("commit"):
                while self._commits.under_way:
                    self._look(_LOOK_SECONDS)
        except WorkerError as error:
            _LOG.warning("the last batch will be read again: %s", error)
        self._producer.close()

    def _is_member(self) -> bool:
        """False once we are thrown out of the group.

        The client commits in its newest generation, and of a member that was thrown out the broker takes it, too, if the
        group has no other members. Asking is a question to another thread, so not for each batch.
        """
        now = self._clock.monotonic()
        if now - self._member_at < _MEMBER_SECONDS:
            return True
        found = is_member(self._source.consumer, self._source.consumer.consumer_group_metadata())
        self._member_at = now if found else float("-inf")
        return found

    def _look(self, seconds: float) -> None:
        """At what became of the commit that is under way."""
        ended = self._commits.ended(seconds)
        if ended is None:
            return
        committable, failure = ended
        if failure is None:
            self._refusals = 0
            return
        self._refusals += 1
        if failure.code() not in _MOVED_ON or self._refusals > MOST_REFUSALS_IN_A_ROW:
            raise stopping("commit", failure)
        _LOG.warning("commit: %s; made again for the partitions that are ours", failure.str())
        self._refused = committable

    def _with_refused(self, committable: Committable) -> Committable:
        """And what was refused before, of partitions that are ours and that have gone no further."""
        if self._refused is None:
            return committable
        ours = self._source.partitions()
        offsets = {tp: offset for tp, offset in self._refused.offsets.items() if tp in ours}
        metadata = {**self._refused.metadata, **committable.metadata}
        self._refused = None
        return Committable({**offsets, **committable.offsets}, metadata, committable.generation)
