"""The whole worker in memory, for tests of one's own model and schema::

    harness = worker.testing.harness(schema="payment.avsc", bundle="models/fraud", event_id="payment_id")
    result = harness.run([{"payment_id": "a", "amount": 12.5}, b"not Avro"])
    result.predictions[0].label, result.dead_letters[0].reason

It is the worker that runs in production, pipeline, limits and loop; only the two edges to Kafka are exchanged. Nothing
is raised for a record's fault: that is a dead letter. What stops a worker in production (a ModelError, a reached
limit) is raised here, too.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import fastavro

from worker import bootstrap
from worker.avro.encode import ServedBy
from worker.avro.framing import SINGLE_OBJECT_MARKER
from worker.avro.schema import RecordSchema
from worker.errors import ConfigurationError
from worker.pipeline.batching import BatchSize
from worker.pipeline.limits import DeadLetterLimits
from worker.ports import Predictor
from worker.records import Record, TopicPartition
from worker.registry.files import read_schema
from worker.service import PredictionWorker
from worker.settings import DeadLetters, Drift, Event, Kafka, Model, Settings, Topics
from worker.testing.doubles import RecordingObserver
from worker.testing.kafka import InMemoryKafka
from worker.testing.results import Outputs, Result
from worker.testing.sinks import InMemorySink
from worker.testing.source import InMemorySource

Given = Mapping[str, Any] | bytes | Record | None
# The broker in memory has a clock of its own, which knows nothing of when events are said to have happened.
_ANY_SKEW_SECONDS = 1e12
_NO_BUNDLE = Path("no-bundle")
_UNNAMED = ServedBy("predictor", "0.0.0", "0" * 64)


def harness(
    *,
    schema: Path | str,
    bundle: Path | str | None = None,
    predictor: Predictor | None = None,
    event_id: str | None = None,
    event_time: str | None = None,
    tombstones: Literal["skip", "dead-letter"] = "skip",
) -> WorkerHarness:
    """A worker for a schema (a path, or the text itself) and a bundle, or a predictor in its place.

    Dead-letter limits are off. Where the bundle has a reference profile, what is counted for drift is in the result.
    Raises ConfigurationError and ModelError for what would stop a worker at its start.
    """
    with tempfile.TemporaryDirectory() as folder:
        values: dict[str, Any] = {
            "schema": _as_file(schema, Path(folder)),
            "id": event_id,
            "time": event_time,
            "tombstones": tombstones,
        }
        settings = Settings(
            kafka=Kafka(bootstrap="in-memory", group="harness"),
            topics=Topics(input="events"),
            event=Event(**values),
            model=Model(bundle=_NO_BUNDLE if bundle is None else Path(bundle)),
            dead_letters=DeadLetters(max_ratio=1, max_consecutive=0),
            drift=Drift(skew_seconds=_ANY_SKEW_SECONDS),
        )
        return WorkerHarness(settings, predictor)


class WorkerHarness:
    """A worker on a topic of one partition, by the settings that production uses; ``predictor`` replaces the bundle."""

    def __init__(self, settings: Settings, predictor: Predictor | None = None) -> None:
        self.schema = read_schema(settings.event.schema_file)
        self.kafka = InMemoryKafka()
        self.observer = RecordingObserver()
        self._settings = settings
        self._write = _Writer(self.schema, framed=settings.event.framing == "detect")
        self._outputs = Outputs(self.kafka, settings)
        topics = settings.topics
        for topic in (topics.input, topics.predictions, topics.dead_letters, topics.drift_sketches):
            self.kafka.create_topic(topic)
        self.worker = self._worker(predictor)

    def run(self, records: Iterable[Given]) -> Result:
        """What came of these records.

        A mapping is encoded by the schema, bytes are a record's value as they are, None is a tombstone, and a
        ``Record`` brings key and headers of its own. Raises ValueError for a mapping that the schema can't hold.
        """
        given = [self._record(item, number) for number, item in enumerate(records)]
        first = self.kafka.log(TopicPartition(self._settings.topics.input, 0)).end
        self.kafka.append(self._settings.topics.input, given)
        while self.worker.run_once() or self.observer.events[-1] == "aborted":
            pass  # what was aborted is read again
        return self._outputs.since(first)

    def _record(self, item: Given, number: int) -> Record:
        if isinstance(item, Record):
            return item
        value = self._write(item, number) if isinstance(item, Mapping) else item
        return Record(self._settings.topics.input, 0, 0, 0, None, value)

    def _worker(self, predictor: Predictor | None) -> PredictionWorker:
        settings = self._settings
        if predictor is None:
            if settings.model.bundle == _NO_BUNDLE:
                raise ConfigurationError("there is no model", hint="name a bundle, or give a predictor")
            prepared = bootstrap.prepare(settings)
        else:
            prepared = bootstrap.assemble(settings, self.schema, predictor, _UNNAMED)
        group = settings.kafka.group
        return PredictionWorker(
            source=InMemorySource(self.kafka, settings.topics.input, group),
            pipeline=prepared.pipeline,
            sink=InMemorySink(self.kafka, group),
            limits=DeadLetterLimits(prepared.limits),
            batch_size=BatchSize(prepared.batching),
            observer=self.observer,
            clock=self.kafka.clock,
        )


class _Writer:
    """Encodes feature mappings as a producer would, single-object or raw."""

    def __init__(self, schema: RecordSchema, *, framed: bool) -> None:
        self._schema = fastavro.parse_schema(json.loads(schema.text))
        self._prefix = SINGLE_OBJECT_MARKER + schema.fingerprint if framed else b""

    def __call__(self, features: Mapping[str, Any], number: int) -> bytes:
        body = io.BytesIO()
        body.write(self._prefix)
        try:
            fastavro.schemaless_writer(body, self._schema, dict(features), strict=True)
        except Exception as error:
            raise ValueError(f"record {number} can't be encoded by the schema: {error}") from error
        return body.getvalue()


def _as_file(schema: Path | str, folder: Path) -> Path:
    if isinstance(schema, Path) or not schema.lstrip().startswith("{"):
        return Path(schema)
    file = folder / "schema.avsc"
    file.write_text(schema, encoding="utf-8")
    return file
