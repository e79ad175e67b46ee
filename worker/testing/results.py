"""What came of records, decoded for a test to look at."""

from __future__ import annotations

import functools
import io
import json
from dataclasses import dataclass
from typing import Any

import fastavro

from worker.avro.framing import SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER
from worker.avro.sketches import SketchCodec
from worker.drift.sketch import Sketch
from worker.pipeline.dead_letters import DIALECTS, FIELD, REASON, STAGE
from worker.records import Headers, Reason, Record, Stage
from worker.settings import Settings
from worker.shipped import output_schema
from worker.testing.kafka import InMemoryKafka


@dataclass(frozen=True, slots=True)
class PredictionOf:
    """The prediction of the record with number ``row`` in what was run; the other names are ``prediction.avsc``'s."""

    row: int
    key: bytes | None
    event_id: str
    event_time_ms: int
    model_name: str
    model_version: str
    label: str | None
    score: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DeadLetterOf:
    """Why the record with number ``row`` was refused, and the record itself, unchanged."""

    row: int
    stage: Stage
    reason: Reason
    field: str | None
    detail: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Result:
    """Both in the order of the records; ``sketches``: what was counted of them for drift."""

    predictions: tuple[PredictionOf, ...]
    dead_letters: tuple[DeadLetterOf, ...]
    sketches: tuple[Sketch, ...] = ()

    def of(self, row: int) -> PredictionOf | DeadLetterOf | None:
        """What became of the record with that number; None for a tombstone that was skipped."""
        found: tuple[PredictionOf | DeadLetterOf, ...] = (*self.predictions, *self.dead_letters)
        return next((one for one in found if one.row == row), None)


def decode_prediction(value: bytes | None) -> dict[str, object]:
    """The fields of ``prediction.avsc``, event time in Unix milliseconds. Raises ValueError for anything else."""
    if value is None or not value.startswith(SINGLE_OBJECT_MARKER):
        raise ValueError("a prediction is in Avro's single-object encoding")
    return _read_prediction(value[SINGLE_OBJECT_BYTES:])


class Outputs:
    """Reads what the worker wrote, each record once."""

    def __init__(self, kafka: InMemoryKafka, settings: Settings) -> None:
        self._kafka = kafka
        self._topics = settings.topics
        _, _, self._offset, _, self._message = DIALECTS[settings.dead_letters.dialect]
        self._seen = dict.fromkeys(
            (self._topics.predictions, self._topics.dead_letters, self._topics.drift_sketches), 0
        )
        self._sketches = SketchCodec(output_schema("drift_sketch"))

    def since(self, first_offset: int) -> Result:
        """What is new; rows are counted from that offset of the input."""
        predictions = [_prediction(record, first_offset) for record in self._new(self._topics.predictions)]
        letters = [self._letter(record, first_offset) for record in self._new(self._topics.dead_letters)]
        sketches = [self._sketches.read(record.value) for record in self._new(self._topics.drift_sketches)]
        return Result(
            predictions=tuple(sorted(predictions, key=lambda found: found.row)),
            dead_letters=tuple(sorted(letters, key=lambda found: found.row)),
            sketches=tuple(sketches),
        )

    def _new(self, topic: str) -> list[Record]:
        records = self._kafka.records(topic)
        new = records[self._seen[topic] :]
        self._seen[topic] = len(records)
        return new

    def _letter(self, record: Record, first_offset: int) -> DeadLetterOf:
        ours = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        return DeadLetterOf(
            row=int(ours[self._offset]) - first_offset,
            stage=Stage(ours[STAGE]),
            reason=Reason(ours[REASON]),
            field=ours.get(FIELD),
            detail=ours[self._message],
            key=record.key,
            value=record.value,
            headers=record.headers,
        )


def _prediction(record: Record, first_offset: int) -> PredictionOf:
    fields: dict[str, object] = decode_prediction(record.value)
    offset, probabilities = fields["source_offset"], fields["probabilities"]
    time_ms, score, label = fields["event_time"], fields["score"], fields["label"]
    assert isinstance(offset, int)
    assert isinstance(probabilities, list)
    assert isinstance(time_ms, int)
    assert isinstance(score, float)
    return PredictionOf(
        row=offset - first_offset,
        key=record.key,
        event_id=str(fields["event_id"]),
        event_time_ms=time_ms,
        model_name=str(fields["model_name"]),
        model_version=str(fields["model_version"]),
        label=None if label is None else str(label),
        score=score,
        probabilities=tuple(probabilities),
    )


def _read_prediction(body: bytes) -> dict[str, object]:
    fields = fastavro.schemaless_reader(io.BytesIO(body), _prediction_schema())
    assert isinstance(fields, dict)
    return fields


@functools.cache
def _prediction_schema() -> Any:
    """Parsed once; the event time stays in milliseconds, it does not become a datetime."""
    schema = json.loads(output_schema("prediction"))
    for field in schema["fields"]:
        if field["name"] == "event_time":
            field["type"] = "long"
    return fastavro.parse_schema(schema)
