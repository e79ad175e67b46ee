"""What one would write instead of the worker: fastavro, ``predict_proba``, an id and a score out; at least once.

The loops have the worker's own consumer and producer settings and its limit of one thread for the model, so that what
differs is the code. They validate nothing and have no dead letters: a bad record ends them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Consumer, Message, Producer
from threadpoolctl import threadpool_limits

from bench.contenders.meter import Meter
from bench.contenders.run import LINGER, Run
from worker.kafka.config import consumer_config, producer_config
from worker.models import open_bundle

PREFIX_BYTES = 10
COMMIT_RECORDS = 500
OUTPUT = {
    "type": "record",
    "name": "Score",
    "fields": [{"name": "id", "type": "string"}, {"name": "score", "type": "double"}],
}


def naive_loop(run: Run, meter: Meter) -> None:
    """What one writes in an hour: poll one, decode, predict one row, produce; a commit every 500."""
    _answer(run, meter, batch=1)


def batch_loop(run: Run, meter: Meter) -> None:
    """What a good engineer writes in an afternoon: batches of 500, one ``predict_proba`` and one commit each."""
    _answer(run, meter, batch=COMMIT_RECORDS)


def _answer(run: Run, meter: Meter, *, batch: int) -> None:
    settings = run.settings()
    scorer = _Scorer(run)
    # The worker stores no offsets and never resets: it commits what it says itself.
    own = {"auto.offset.reset": "earliest", "enable.auto.offset.store": True}
    consumer = Consumer({**consumer_config(settings), **own})
    consumer.subscribe([run.topic])
    producer = Producer(producer_config(settings, None) | LINGER)
    uncommitted = 0
    while not meter.done:
        messages = [message for message in consumer.consume(batch, 0.5) if message.error() is None]
        if not messages:
            continue
        meter.polled()
        for message, value in zip(messages, scorer.answers(messages), strict=True):
            producer.produce(settings.topics.predictions, value, message.key(), message.partition() or 0)
        producer.poll(0)
        uncommitted += len(messages)
        if uncommitted >= COMMIT_RECORDS or meter.records + uncommitted >= run.events:
            producer.flush()
            consumer.commit(asynchronous=False)
            meter.answered(uncommitted)
            uncommitted = 0
    consumer.close()


class _Scorer:
    """The bytes of events to the bytes of scores."""

    def __init__(self, run: Run) -> None:
        self._schema = fastavro.parse_schema(json.loads(Path(run.schema).read_text(encoding="utf-8")))
        self._output = fastavro.parse_schema(OUTPUT)
        bundle = open_bundle(Path(run.bundle))
        self._model = bundle.model
        self._names = [feature.name for feature in bundle.manifest.features]
        self._id = run.id_field
        threadpool_limits(limits=1)

    def answers(self, messages: Sequence[Message]) -> list[bytes]:
        events = [self._event(message) for message in messages]
        rows = [[np.nan if event[name] is None else event[name] for name in self._names] for event in events]
        scores = self._model.predict_proba(np.array(rows, np.float64))[:, 1]
        return [self._answer(event[self._id], score) for event, score in zip(events, scores.tolist(), strict=True)]

    def _event(self, message: Message) -> Any:
        body = io.BytesIO((message.value() or b"")[PREFIX_BYTES:])
        return fastavro.schemaless_reader(body, self._schema, None)

    def _answer(self, event_id: str, score: float) -> bytes:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._output, {"id": event_id, "score": score})
        return body.getvalue()
