"""A batch to everything that comes of it: the pure function at the centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from worker.avro.decode import Decoder
from worker.avro.encode import Predicted, PredictionEncoder
from worker.pipeline.dead_letters import DeadLetterPolicy
from worker.pipeline.identity import Identity
from worker.pipeline.predict import Prediction, predict
from worker.pipeline.tracing import trace_contexts
from worker.pipeline.validate import Validator
from worker.ports import Predictor
from worker.records import Cause, OutgoingBatch, Reason, RecordBatch, Refusals, Stage

NULL_VALUE = Cause(Stage.FRAMING, Reason.EMPTY_VALUE, "the value is null")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch. Conservation: ``predictions`` + ``len(refusals)`` + ``tombstones`` = its records.

    ``seconds`` holds the duration of each stage, by name.
    """

    outgoing: tuple[OutgoingBatch, ...]
    predictions: int
    refusals: Refusals
    tombstones: int
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that a batch passes through. ``timer`` gives seconds, for the durations of the stages alone."""

    decoder: Decoder
    validator: Validator
    identity: Identity
    predictor: Predictor
    encoder: PredictionEncoder
    dead_letters: DeadLetterPolicy
    predictions_topic: str
    timer: Callable[[], float]
    tombstones: Literal["skip", "dead-letter"] = "skip"

    def process(self, batch: RecordBatch) -> Outcome:
        """Raises ModelError when the model, not a record, is at fault; a record's own fault is in the outcome."""
        begun = self.timer()
        decoded = self.decoder.decode(batch)
        decoded_at = self.timer()
        valid = self.validator.validate(decoded.columns, decoded.rows)
        validated_at = self.timer()
        prediction = predict(self.predictor, valid.columns, valid.rows)
        predicted_at = self.timer()
        found = [decoded.refusals, valid.refusals, *([prediction.refusals] if prediction else [])]
        skipped = len(decoded.tombstones)
        if self.tombstones == "dead-letter":
            found.append(Refusals.alike(decoded.tombstones, NULL_VALUE))
            skipped = 0
        refusals = Refusals.joined(found)
        outgoing = []
        if prediction and len(prediction.rows):
            columns = valid.columns
            if len(prediction.rows) < len(valid.rows):
                columns = columns.take(np.searchsorted(valid.rows, prediction.rows))
            predicted = Predicted(
                rows=prediction.rows,
                scores=prediction.scores,
                event_ids=self.identity.ids(batch, columns, prediction.rows),
                event_times_ms=self.identity.times_ms(batch, columns, prediction.rows),
            )
            outgoing.append(self._predictions(batch, predicted))
        if refusals:
            outgoing.append(self.dead_letters.letters(batch, refusals))
        seconds = {
            "decode": decoded_at - begun,
            "validate": validated_at - decoded_at,
            "predict": predicted_at - validated_at,
            "encode": self.timer() - predicted_at,
        }
        return Outcome(tuple(outgoing), _count(prediction), refusals, skipped, seconds)

    def _predictions(self, batch: RecordBatch, predicted: Predicted) -> OutgoingBatch:
        rows = predicted.rows
        return OutgoingBatch(
            topic=self.predictions_topic,
            partition=batch.partition[rows],
            keys=batch.keys.take(rows),
            values=self.encoder.encode(batch, predicted),
            headers=trace_contexts(batch.headers).take(rows) if batch.headers else batch.headers,
        )


def _count(prediction: Prediction | None) -> int:
    return len(prediction.rows) if prediction else 0
