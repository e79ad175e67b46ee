"""A worker that dies at a chosen point, or breaks a chosen law: the product's own objects, wrapped, none of its code changed.

``python -m tests.chaos.worker_main --config FILE [--die POINT[:N] [--hang]] [--abort N] [--abort-commit N]
[--mutant NAME] [--until-idle]``
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, KafkaException

from tests.chaos.mutants import MUTANTS
from worker import bootstrap
from worker.cli import guarded
from worker.cli.stopping import StopOnSignals
from worker.clock import SystemClock
from worker.columns import Columns, Scores
from worker.kafka.transactional import TransactionalSink
from worker.ports import Fetch, FetchLimit, Predictor, RecordSource
from worker.records import OutgoingBatch, RecordBatch, TopicPartition
from worker.service import PredictionWorker
from worker.settings import load_settings
from worker.telemetry.health import ProcessHealth
from worker.telemetry.logging_observer import LoggingObserver

_LOG = logging.getLogger(__name__)
COMMITTING_BEHIND = "committing behind the next batch"
MODULE = ("tests.chaos.worker_main",)
# So many polls without a record, half a second each, mean that there are no more; before the first, more of them.
IDLE_POLLS, FIRST_IDLE_POLLS = 4, 20


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    """Never return; signals are handled meanwhile."""
    _LOG.info("hanging")
    threading.Event().wait()


class Passages:
    """Counts how often the chosen point was passed, and ends the process (or hangs) at the n-th time."""

    def __init__(self, chosen: str, end: Callable[[], None]) -> None:
        self._point, _, number = chosen.partition(":")
        self._left = int(number or 0)  # 0: not before SIGUSR1
        self._end = end
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "_left", 1))

    def reach(self, point: str, end: Callable[[], None] | None = None) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                (end or self._end)()

    def is_next(self, point: str) -> bool:
        return point == self._point and self._left == 1


class Source:
    """A ``RecordSource``; told to, it stops the worker once there is nothing left to read."""

    def __init__(self, source: RecordSource, passages: Passages, on_idle: Callable[[], None] | None) -> None:
        self._source = source
        self._passages = passages
        self._on_idle = on_idle
        self._idle = IDLE_POLLS - FIRST_IDLE_POLLS

    def poll(self, limit: FetchLimit) -> Fetch:
        fetch = self._source.poll(limit)
        if fetch.batch is not None:
            self._idle = 0
            self._passages.reach("consumed")
        else:
            self._idle += 1
            if self._idle == IDLE_POLLS and self._on_idle is not None:
                self._on_idle()
        return fetch

    def rewind(self, batch: RecordBatch) -> None:
        self._source.rewind(batch)

    def partitions(self) -> frozenset[TopicPartition]:
        return self._source.partitions()

    def lag(self) -> dict[TopicPartition, int]:
        return dict(self._source.lag())

    def close(self) -> None:
        self._passages.reach("closing")
        self._source.close()


class DyingPredictor:
    """A ``Predictor``."""

    def __init__(self, predictor: Predictor, passages: Passages) -> None:
        self._predictor = predictor
        self._passages = passages

    def predict(self, columns: Columns) -> Scores:
        self._passages.reach("decoded")
        scores = self._predictor.predict(columns)
        self._passages.reach("predicted")
        return scores

    def is_sound(self) -> bool:
        return self._predictor.is_sound()


class DyingProducer:
    """A confluent-kafka ``Producer`` in a sink.

    ``abort_at``, ``abort_commit_at``: that send of offsets, that commit behind the next batch fails, so that the sink must
    abort.
    """

    def __init__(self, producer: Any, passages: Passages, abort_at: int, abort_commit_at: int) -> None:
        self._producer = producer
        self._passages = passages
        self._sends_left = abort_at
        self._commits_left = abort_commit_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def begin_transaction(self) -> None:
        self._producer.begin_transaction()
        self._passages.reach("begun")

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._sends_left -= 1
        if self._sends_left == 0:
            self._producer.flush()
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "forced", txn_requires_abort=True))
        self._producer.send_offsets_to_transaction(*arguments)
        self._passages.reach("offsets-sent")

    def commit_transaction(self, *arguments: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            _LOG.info(COMMITTING_BEHIND)
            self._commits_left -= 1
            if self._commits_left == 0:
                self._producer.flush()
                raise KafkaException(KafkaError(KafkaError.TRANSACTION_ABORTABLE, "forced", txn_requires_abort=True))
        if self._passages.is_next("before-commit"):
            self._producer.flush()
        self._passages.reach("before-commit")
        self._passages.reach("in-commit", threading.Timer(0.0015, kill_self).start)
        self._producer.commit_transaction(*arguments)
        self._passages.reach("committed")


class DyingOutbox:
    """An ``Outbox`` in a sink."""

    def __init__(self, outbox: Any, flush: Callable[[], object], passages: Passages) -> None:
        self._outbox = outbox
        self._flush = flush
        self._passages = passages

    def put(self, batch: OutgoingBatch) -> None:
        if self._passages.is_next("produced"):
            # Half of the batch has reached the broker.
            self._outbox.put(first_of(batch, len(batch) // 2))
            self._flush()
        else:
            self._outbox.put(batch)
        self._passages.reach("produced")

    def close(self) -> None:
        self._outbox.close()


class DyingNativeProducer(DyingOutbox):
    """A ``NativeProducer`` in the at-least-once sink."""

    def __init__(self, producer: Any, passages: Passages) -> None:
        super().__init__(producer, lambda: producer.flush(10), passages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    def flush(self, seconds: float) -> Any:
        """This is where everything has been written, and nothing is committed."""
        failure = self._outbox.flush(seconds)
        self._passages.reach("before-commit")
        return failure


def first_of(batch: OutgoingBatch, count: int) -> OutgoingBatch:
    rows = np.arange(count)
    keys, values = batch.keys.take(rows), batch.values.take(rows)
    return OutgoingBatch(batch.topic, batch.partition[rows], keys, values, batch.headers.take(rows))


class Health(ProcessHealth):
    """Says when a signal has been taken."""

    def stopping(self) -> None:
        _LOG.info("signal taken")
        super().stopping()


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(options.config)
    passages = Passages(options.die, hang if options.hang else kill_self)
    clock = SystemClock()
    stop = StopOnSignals(Health(clock), settings.delivery.grace_seconds)
    prepared = bootstrap.prepare(settings)
    pipeline = prepared.pipeline
    pipeline = dataclasses.replace(pipeline, predictor=DyingPredictor(pipeline.predictor, passages))
    worker = bootstrap.connect(settings, dataclasses.replace(prepared, pipeline=pipeline), LoggingObserver(clock))
    _instrument(worker, passages, options)
    stop.loop = worker
    worker.run()


def _instrument(worker: PredictionWorker, passages: Passages, options: argparse.Namespace) -> None:
    sink: Any = worker.sink
    consumer = getattr(worker.source, "consumer", None)
    if isinstance(sink, TransactionalSink):
        wrapped: Any = sink
        flush = sink._producer.flush
        wrapped._producer = DyingProducer(sink._producer, passages, options.abort, options.abort_commit)
        wrapped._outbox = DyingOutbox(sink._outbox, flush, passages)
    else:
        sink._producer = DyingNativeProducer(sink._producer, passages)
    worker.source = Source(worker.source, passages, worker.stop if options.until_idle else None)
    if options.mutant:
        MUTANTS[options.mutant](worker, consumer, lambda: passages.reach("between"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument(
        "--die", default="", help="POINT:N, at its n-th passage; POINT alone, at the first after SIGUSR1"
    )
    parser.add_argument("--hang", action="store_true", help="there, instead of dying")
    parser.add_argument("--abort", type=int, default=0, help="the n-th transaction is aborted")
    parser.add_argument("--abort-commit", type=int, default=0, help="so does the n-th commit behind another batch")
    parser.add_argument("--mutant", default="", choices=["", *MUTANTS])
    parser.add_argument("--until-idle", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(guarded(main))
