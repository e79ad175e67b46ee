"""The loop, in the words of the flow: poll, process, judge, deliver; on an abort, rewind."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from worker.errors import DeadLetterLimit, DeliveryAborted, SchemaUnavailable, TransportError
from worker.pipeline.batching import BatchSize
from worker.pipeline.limits import HINT, DeadLetterLimits
from worker.pipeline.partition_state import Counters, PartitionState, committed_texts
from worker.pipeline.process import Outcome, Pipeline
from worker.ports import BatchReport, Clock, Fetch, FetchLimit, Observer, RecordSink, RecordSource
from worker.records import Committable, RecordBatch, TopicPartition, value_class

_LOG = logging.getLogger(__name__)
# A fresh member gets out of loops that an old one can't.
MAX_ABORTS_IN_A_ROW = 5
LAG_SECONDS = 0.2
"""How old what is said of the lag may be: it is asked for partition by partition, which a small batch would feel."""


@value_class
class _Before:
    """What the last batch that was handed to the sink found: to go back to, should it turn out not to be committed."""

    batch: RecordBatch
    counters: dict[TopicPartition, Counters]
    watermarks: dict[TopicPartition, int]


@dataclass(slots=True)
class PredictionWorker:
    """One worker. Law 1, conservation, is the pipeline's; law 2, order of durability, is kept here.

    Nothing is committed but by the sink, and never more than the batches whose results it was given.
    """

    source: RecordSource
    pipeline: Pipeline
    sink: RecordSink
    limits: DeadLetterLimits
    batch_size: BatchSize
    observer: Observer
    clock: Clock
    _aborts: int = 0
    _held_until: float = float("-inf")
    _stopping: bool = False
    _partitions: frozenset[TopicPartition] = frozenset()
    _watermarks: dict[TopicPartition, int] = field(default_factory=dict)
    _lag: dict[TopicPartition, int] = field(default_factory=dict)
    _lag_at: float = float("-inf")
    _before: _Before | None = None

    def run(self) -> None:
        """Go on until ``stop``; then leave the group. Raises a WorkerError for whatever ends it otherwise."""
        self.observer.started()
        try:
            while not self._stopping:
                self.run_once()
        finally:
            self.observer.stopped()
            # What is committed on the way out is committed as a member of the group.
            self.sink.close()
            self.source.close()

    def stop(self) -> None:
        """Finish the batch in hand, then end; safe to call from a signal handler."""
        self._stopping = True

    def run_once(self) -> int:
        """One micro-batch, if there is one; the number of records that were delivered."""
        fetch = self.source.poll(self._limit())
        begun = self.clock.monotonic()
        self.observer.progressed()
        self._take_over(fetch)
        self._note_partitions()
        if fetch.batch is None:
            self._settle()
            self.observer.lagging(self.source.lag())
            return 0
        try:
            outcome = self.pipeline.process(fetch.batch, self._watermarks)
        except SchemaUnavailable as error:
            self._hold(fetch.batch, error)
            return 0
        counters = self._judge(fetch, fetch.batch, outcome)
        watermarks = {**self._watermarks, **outcome.watermarks} if outcome.watermarks else self._watermarks
        metadata = committed_texts(self.limits.policy.digest, counters, watermarks)
        committable = Committable(fetch.batch.next_offsets(), metadata, fetch.generation)
        deliver_begun = self.clock.monotonic()
        try:
            self.sink.deliver(outcome.outgoing, committable)
        except DeliveryAborted as error:
            self.source.rewind(fetch.batch)
            self._go_back(error)
            return 0
        now = self.clock.monotonic()
        self._aborts = 0
        self._before = _Before(fetch.batch, self.limits.before(counters), self._watermarks)
        self.limits.accept(counters)
        self._watermarks = watermarks
        deliver_seconds = now - deliver_begun
        size_bytes = fetch.batch.size_bytes
        self.batch_size = self.batch_size.after(len(fetch.batch), size_bytes, now - begun, deliver_seconds)
        if now - self._lag_at >= LAG_SECONDS:
            self._lag, self._lag_at = dict(self.source.lag()), now
        self.observer.delivered(self._report(fetch.batch, outcome, size_bytes, deliver_seconds))
        return len(fetch.batch)

    def _limit(self) -> FetchLimit:
        """While we are held nothing is taken, but the group is served: nobody else can read the schema, either."""
        limit = self.batch_size.limit()
        held_seconds = self._held_until - self.clock.monotonic()
        return limit if held_seconds <= 0 else FetchLimit(0, 0, min(held_seconds, limit.timeout_seconds))

    def _take_over(self, fetch: Fetch) -> None:
        """Partitions come and go with what is remembered of them."""
        if not fetch.assigned and not fetch.unassigned:
            return
        states = {tp: PartitionState.read(text) for tp, text in fetch.assigned.items()}
        self.limits.unassigned(fetch.unassigned)
        self.limits.assigned(states)
        for tp in fetch.unassigned:
            self._watermarks.pop(tp, None)
        self._watermarks |= {tp: state.watermark_ms for tp, state in states.items()}

    def _judge(self, fetch: Fetch, batch: RecordBatch, outcome: Outcome) -> dict[TopicPartition, Counters]:
        """The dead-letter counters after the batch; over the limit, only that fact is committed, and the worker ends."""
        counters = self.limits.judge(batch, outcome.refusals)
        over = {tp: c for tp, c in counters.items() if c.tripped}
        if not over:
            return counters
        unmoved = {tp: offset for tp, offset in batch.first_offsets().items() if tp in over}
        metadata = committed_texts(self.limits.policy.digest, over, self._watermarks)
        try:
            self.sink.deliver((), Committable(unmoved, metadata, fetch.generation))
        except TransportError as error:
            _LOG.warning("the dead-letter limit could not be recorded: %s", error)
        where = "; ".join(f"{tp}: {c.tripped}" for tp, c in sorted(over.items()))
        reasons = ", ".join(sorted({f"{c.stage}/{c.reason}: {c.detail}" for c in outcome.refusals.causes})[:3])
        raise DeadLetterLimit(f"the dead-letter limit is reached ({where}; {reasons})", hint=HINT)

    def _hold(self, batch: RecordBatch, error: SchemaUnavailable) -> None:
        self.observer.aborted(error)
        self.source.rewind(batch)
        self._held_until = self.clock.monotonic() + error.retry_seconds

    def _settle(self) -> None:
        try:
            self.sink.settle()
        except DeliveryAborted as error:
            self._go_back(error)

    def _go_back(self, error: DeliveryAborted) -> None:
        """To before the last delivery as well, where that turned out to be aborted, in what is ours still."""
        self._aborts += 1
        self.observer.aborted(error)
        if self._aborts >= MAX_ABORTS_IN_A_ROW:
            raise TransportError(f"{self._aborts} deliveries in a row were aborted: {error}") from error
        if error.earlier and self._before is not None:
            before = self._before
            undone = before.counters.keys() & self.source.partitions()
            self.source.rewind(before.batch)
            self.limits.accept({tp: before.counters[tp] for tp in undone})
            kept = {tp: ms for tp, ms in self._watermarks.items() if tp not in undone}
            self._watermarks = kept | {tp: ms for tp, ms in before.watermarks.items() if tp in undone}
        self._before = None

    def _note_partitions(self) -> None:
        ours = self.source.partitions()
        if ours != self._partitions:
            self._partitions = ours
            self.observer.assignment(len(ours))

    def _report(self, batch: RecordBatch, outcome: Outcome, size_bytes: int, deliver_seconds: float) -> BatchReport:
        return BatchReport(
            records=len(batch),
            predictions=outcome.predictions,
            tombstones=outcome.tombstones,
            refusals=outcome.refusals,
            input_bytes=size_bytes,
            oldest_timestamp_ms=int(batch.timestamp_ms.min()),
            decode_seconds=outcome.seconds["decode"],
            validate_seconds=outcome.seconds["validate"],
            predict_seconds=outcome.seconds["predict"],
            encode_seconds=outcome.seconds["encode"],
            count_seconds=outcome.seconds["count"],
            deliver_seconds=deliver_seconds,
            lag=self._lag,
            headers=batch.headers,
        )
