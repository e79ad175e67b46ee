"""Predictions to bytes: single-object encoding (``C3 01``, fingerprint, body), one buffer for all."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.framing import SINGLE_OBJECT_MARKER
from worker.columns import Scores
from worker.records import IntArray, RecordBatch, Slices


@dataclass(frozen=True, slots=True)
class ServedBy:
    """Which model answers, as every one of its predictions says."""

    name: str
    version: str
    digest: str
    variant: str = "primary"
    role: str = "primary"


@dataclass(frozen=True, slots=True)
class Predicted:
    """Scores of the batch's ``rows``; every member has their length, ``event_times_ms`` is in Unix milliseconds."""

    rows: IntArray
    scores: Scores
    event_ids: Sequence[str]
    event_times_ms: IntArray


class PredictionEncoder:
    """Encodes predictions by the text of ``schemas/prediction.avsc``."""

    def __init__(self, schema_text: str, served_by: ServedBy) -> None:
        schema = json.loads(schema_text)
        self._schema = fastavro.parse_schema(schema)
        self._prefix = SINGLE_OBJECT_MARKER + bytes.fromhex(
            fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        )
        self._constant = {
            "model_name": served_by.name,
            "model_version": served_by.version,
            "model_digest": served_by.digest,
            "variant": served_by.variant,
            "served_by": served_by.role,
        }

    def encode(self, batch: RecordBatch, predicted: Predicted) -> Slices:
        """The values of the predictions, in the order of ``predicted.rows``."""
        rows, scores = predicted.rows, predicted.scores
        count = len(rows)
        varying = zip(
            predicted.event_ids,
            predicted.event_times_ms.tolist(),
            [None] * count if scores.label is None else [scores.classes[i] for i in scores.label.tolist()],
            scores.score.tolist(),
            [[]] * count if scores.probabilities is None else scores.probabilities.tolist(),
            batch.partition[rows].tolist(),
            batch.offset[rows].tolist(),
            strict=True,
        )
        names = ("event_id", "event_time", "label", "score", "probabilities", "source_partition", "source_offset")
        return Slices.of([self._value(dict(zip(names, values, strict=True))) for values in varying])

    def _value(self, varying: dict[str, object]) -> bytes:
        body = io.BytesIO()
        body.write(self._prefix)
        fastavro.schemaless_writer(body, self._schema, {**self._constant, **varying})
        return body.getvalue()
