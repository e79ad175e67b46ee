"""Workers with one law broken each. The checker must find every one of them, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition as Position

from worker.columns import Columns, Scores
from worker.ports import Predictor, RecordSink, RecordSource
from worker.records import Committable, IntArray, OutgoingBatch, RecordBatch
from worker.service import PredictionWorker

# Told to die there, the process ends at this moment: the one in which the mutant's mistake shows.
Between = Callable[[], None]
Mutant = Callable[[PredictionWorker, Any, Between], None]


class _Sink:
    """A ``RecordSink`` that changes what it hands on."""

    def __init__(
        self,
        sink: RecordSink,
        outgoing: Callable[[Sequence[OutgoingBatch]], Sequence[OutgoingBatch]] = lambda batches: batches,
        committable: Callable[[Committable], Committable] = lambda committable: committable,
        before: Callable[[Committable], None] = lambda _: None,
        after: Callable[[Committable], None] = lambda _: None,
    ) -> None:
        self._sink = sink
        self._outgoing = outgoing
        self._committable = committable
        self._before = before
        self._after = after

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        self._before(committable)
        self._sink.deliver(self._outgoing(outgoing), self._committable(committable))
        self._after(committable)

    def settle(self) -> None:
        self._sink.settle()

    def close(self) -> None:
        self._sink.close()


class _NeverRewinds:
    """A ``RecordSource`` that goes on after an abort as if nothing had happened."""

    def __init__(self, source: RecordSource) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def rewind(self, batch: RecordBatch) -> None:
        pass


class _ForgetsOffsets:
    """A ``Producer`` in a sink, whose failure to send offsets nobody notices."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def send_offsets_to_transaction(self, *_: Any) -> None:
        pass


def _no_rewind_after_abort(worker: PredictionWorker, _: Any, __: Between) -> None:
    source: Any = _NeverRewinds(worker.source)
    worker.source = source


def _commits_before_it_produces(worker: PredictionWorker, consumer: Any, between: Between) -> None:
    def before(committable: Committable) -> None:
        _commit(consumer, committable)
        between()

    worker.sink = _Sink(worker.sink, committable=_nothing, before=before)


def _offsets_outside_the_transaction(worker: PredictionWorker, consumer: Any, between: Between) -> None:
    def after(committable: Committable) -> None:
        between()
        _commit(consumer, committable)

    worker.sink = _Sink(worker.sink, committable=_nothing, after=after)


def _failed_offsets_ignored(worker: PredictionWorker, _: Any, __: Between) -> None:
    sink: Any = worker.sink
    sink._producer = _ForgetsOffsets(sink._producer)


def _drops_dead_letters(worker: PredictionWorker, _: Any, __: Between) -> None:
    dead_letters = worker.pipeline.dead_letters.topic
    worker.sink = _Sink(worker.sink, outgoing=lambda batches: [b for b in batches if b.topic != dead_letters])


class _ExchangesScores:
    """A ``Predictor`` whose answers come in another order than its questions."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, columns: Columns) -> Scores:
        scores = self._predictor.predict(columns)
        return scores.take(np.arange(len(scores))[::-1])

    def is_sound(self) -> bool:
        return self._predictor.is_sound()


def _exchanges_scores(worker: PredictionWorker, _: Any, __: Between) -> None:
    worker.pipeline = replace(worker.pipeline, predictor=_ExchangesScores(worker.pipeline.predictor))


def _outgoing(change: Callable[[OutgoingBatch], OutgoingBatch]) -> Mutant:
    def mutant(worker: PredictionWorker, _: Any, __: Between) -> None:
        worker.sink = _Sink(worker.sink, outgoing=lambda batches: [change(b) for b in batches])

    return mutant


def _offsets(by: int) -> Mutant:
    def change(committable: Committable) -> Committable:
        return replace(committable, offsets={tp: offset + by for tp, offset in committable.offsets.items()})

    def mutant(worker: PredictionWorker, _: Any, between: Between) -> None:
        worker.sink = _Sink(worker.sink, committable=change, after=lambda _: between())

    return mutant


def _taken(batch: OutgoingBatch, rows: IntArray) -> OutgoingBatch:
    keys, values, headers = batch.keys.take(rows), batch.values.take(rows), batch.headers.take(rows)
    return OutgoingBatch(batch.topic, batch.partition[rows], keys, values, headers)


def _nothing(committable: Committable) -> Committable:
    return replace(committable, offsets={}, metadata={})


def _commit(consumer: Any, committable: Committable) -> None:
    consumer.commit(
        offsets=[Position(tp.topic, tp.partition, offset) for tp, offset in committable.offsets.items()],
        asynchronous=False,
    )


MUTANTS: Mapping[str, Mutant] = {
    "no-rewind-after-abort": _no_rewind_after_abort,
    "commits-before-it-produces": _commits_before_it_produces,
    "offsets-outside-the-transaction": _offsets_outside_the_transaction,
    "failed-offsets-ignored": _failed_offsets_ignored,
    "drops-dead-letters": _drops_dead_letters,
    "drops-the-last-of-a-batch": _outgoing(lambda b: _taken(b, np.arange(len(b) - 1))),
    "produces-twice": _outgoing(lambda b: _taken(b, np.concatenate((np.arange(len(b)), [len(b) - 1])))),
    "mixes-the-order": _outgoing(lambda b: _taken(b, np.arange(len(b))[::-1])),
    "next-partition": _outgoing(lambda b: replace(b, partition=(b.partition + 1) % 3)),
    "exchanges-values": _outgoing(lambda b: replace(b, values=b.values.take(np.roll(np.arange(len(b)), 1)))),
    "exchanges-scores": _exchanges_scores,
    "commits-one-too-many": _offsets(+1),
    "commits-one-too-few": _offsets(-1),
}
