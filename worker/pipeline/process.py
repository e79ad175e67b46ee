"""A batch to everything that comes of it: the pure function at the centre."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from worker.avro.decode import Decoder
from worker.avro.encode import Predicted, PredictionEncoder
from worker.columns import Columns
from worker.drift.counting import Predictions
from worker.pipeline.dead_letters import DeadLetterPolicy
from worker.pipeline.identity import Identity
from worker.pipeline.predict import Prediction, predict
from worker.pipeline.sketching import Sketching
from worker.pipeline.tracing import trace_contexts
from worker.pipeline.validate import Validator
from worker.ports import Predictor
from worker.records import (
    Cause,
    IntArray,
    OutgoingBatch,
    Reason,
    RecordBatch,
    Refusals,
    Stage,
    TopicPartition,
    value_class,
)

NULL_VALUE = Cause(Stage.FRAMING, Reason.EMPTY_VALUE, "the value is null")


@value_class
class Outcome:
    """What came of a batch. Conservation: ``predictions`` + ``len(refusals)`` + ``tombstones`` = its records.

    ``seconds`` holds the duration of each stage, by name. ``watermarks``: of the batch's partitions after it, where event
    times are counted.
    """

    outgoing: tuple[OutgoingBatch, ...]
    predictions: int
    refusals: Refusals
    tombstones: int
    seconds: dict[str, float] = field(default_factory=dict)
    watermarks: Mapping[TopicPartition, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that a batch passes through. ``timer`` gives seconds, for the durations of the stages alone.

    ``sketching`` counts what was predicted, for drift; None: nothing is counted.
    """

    decoder: Decoder
    validator: Validator
    identity: Identity
    predictor: Predictor
    encoder: PredictionEncoder
    dead_letters: DeadLetterPolicy
    predictions_topic: str
    timer: Callable[[], float]
    tombstones: Literal["skip", "dead-letter"] = "skip"
    sketching: Sketching | None = None

    def process(self, batch: RecordBatch, watermarks: Mapping[TopicPartition, int] | None = None) -> Outcome:
        """``watermarks``: of the partitions before the batch, where event times are counted.

        Raises ModelError when the model, not a record, is at fault; a record's own fault is in the outcome.
        """
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
        predicted: Predicted | None = None
        if prediction and len(prediction.rows):
            columns = _of_rows(valid.columns, valid.rows, prediction.rows)
            predicted = Predicted(
                rows=prediction.rows,
                scores=prediction.scores,
                event_ids=self.identity.ids(batch, columns, prediction.rows),
                event_times_ms=self.identity.times_ms(batch, columns, prediction.rows),
            )
            outgoing.append(self._predictions(batch, predicted))
        if refusals:
            outgoing.append(self.dead_letters.letters(batch, refusals))
        encoded_at = self.timer()
        after: Mapping[TopicPartition, int] = {}
        if self.sketching is not None:
            counted = _predictions_of(decoded.columns, decoded.rows, predicted)
            sketch, after = self.sketching.sketch(batch, counted, watermarks or {})
            outgoing.append(sketch)
        seconds = {
            "decode": decoded_at - begun,
            "validate": validated_at - decoded_at,
            "predict": predicted_at - validated_at,
            "encode": encoded_at - predicted_at,
            "count": self.timer() - encoded_at,
        }
        return Outcome(tuple(outgoing), _count(prediction), refusals, skipped, seconds, after)

    def _predictions(self, batch: RecordBatch, predicted: Predicted) -> OutgoingBatch:
        rows, partition, keys = predicted.rows, batch.partition, batch.keys
        if len(rows) != len(batch):
            partition, keys = partition[rows], keys.take(rows)
        return OutgoingBatch(
            topic=self.predictions_topic,
            partition=partition,
            keys=keys,
            values=self.encoder.encode(batch, predicted),
            headers=trace_contexts(batch.headers).take(rows) if batch.headers else batch.headers,
        )


def _count(prediction: Prediction | None) -> int:
    return len(prediction.rows) if prediction else 0


def _of_rows(columns: Columns, own: IntArray, rows: IntArray) -> Columns:
    """Of columns whose row i is batch row ``own[i]``, those of the batch rows ``rows``; both ascend."""
    return columns if len(rows) == len(own) else columns.take(np.searchsorted(own, rows))


def _predictions_of(columns: Columns, own: IntArray, predicted: Predicted | None) -> Predictions | None:
    if predicted is None:
        return None
    return Predictions(
        predicted.rows, predicted.event_times_ms, _of_rows(columns, own, predicted.rows), predicted.scores
    )
