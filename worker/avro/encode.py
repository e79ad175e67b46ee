"""Predictions to bytes, behind the prefix that names their schema, written by columns into one buffer.

A few predictions are written one by one: columns cost much a batch and little a row. Both give the same bytes.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.framing import SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER
from worker.avro.rows import LONGEST_VARINT, WORD, ByteRows, padded
from worker.avro.varints import long, string
from worker.columns import Scores
from worker.records import IntArray, RecordBatch, Slices, value_class

# The order in which ``encode`` writes; the schema file must agree.
FIELDS = (
    *("event_id", "event_time", "model_name", "model_version", "model_digest", "variant", "served_by"),
    *("label", "score", "probabilities", "source_partition", "source_offset"),
)
ROLES = ("primary", "fallback", "default")
FEW_ROWS = 100
"""Up to so many are written one by one (measured: 1.3 µs each, against 150 µs and 0.2 µs each)."""
_DOUBLE = struct.Struct("<d").pack
_NULL, _NOT_NULL, _END_OF_ARRAY = b"\x00", b"\x02", b"\x00"
_VARINTS = 4  # of the id's length, the time, the partition and the offset
# All rows have room for the longest id; one that is out of all proportion gets a buffer of its own.
_LARGEST_BUFFER_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class ServedBy:
    """Which model answers, as every one of its predictions says."""

    name: str
    version: str
    digest: str
    variant: str = "primary"
    role: str = "primary"


@value_class
class Predicted:
    """Scores of the batch's ``rows``; every member has their length, ``event_times_ms`` is in Unix milliseconds."""

    rows: IntArray
    scores: Scores
    event_ids: Slices
    event_times_ms: IntArray

    def take(self, indices: IntArray) -> Predicted:
        return Predicted(
            self.rows[indices], self.scores.take(indices), self.event_ids.take(indices), self.event_times_ms[indices]
        )


class PredictionEncoder:
    """Encodes predictions by the text of ``schemas/prediction.avsc``.

    They begin with ``prefix``, of at most ten bytes; None: the single-object encoding's (``C3 01``, fingerprint).
    """

    def __init__(self, schema_text: str, served_by: ServedBy, prefix: bytes | None = None) -> None:
        schema = json.loads(schema_text)
        names = tuple(field["name"] for field in schema["fields"])
        if names != FIELDS:
            raise ValueError(f"the prediction schema has the fields {names}; this encoder writes {FIELDS}")
        fields = (served_by.name, served_by.version, served_by.digest, served_by.variant)
        single_object = SINGLE_OBJECT_MARKER + bytes.fromhex(
            fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        )
        self._prefix = single_object if prefix is None else prefix
        self._model = b"".join(map(string, fields)) + long(ROLES.index(served_by.role))
        self._tails_of: dict[tuple[str, ...], list[bytes]] = {}

    def encode(self, batch: RecordBatch, predicted: Predicted) -> Slices:
        """The values of the predictions, in the order of ``predicted.rows``."""
        if len(predicted.rows) <= FEW_ROWS:
            return self.encode_by_record(batch, predicted)
        return self.encode_by_column(batch, predicted)

    def encode_by_record(self, batch: RecordBatch, predicted: Predicted) -> Slices:
        """As ``encode``, without columns."""
        scores, rows = predicted.scores, predicted.rows
        tails, chances = self._tails(scores.classes), scores.probabilities
        labels = [0] * len(rows) if scores.label is None else scores.label.tolist()
        count = 0 if chances is None else chances.shape[1]
        doubles = struct.Struct(f"<{count}d").pack
        array = long(count) if count else b""
        written = [
            b"".join(
                (
                    self._prefix,
                    long(len(event_id)),
                    event_id,
                    long(time_ms),
                    tails[label],
                    _DOUBLE(score),
                    array,
                    doubles(*chance),
                    _END_OF_ARRAY,
                    long(partition),
                    long(offset),
                )
            )
            for event_id, time_ms, label, score, chance, partition, offset in zip(
                predicted.event_ids.to_list(),
                predicted.event_times_ms.tolist(),
                labels,
                scores.score.tolist(),
                [()] * len(rows) if chances is None else chances.tolist(),
                batch.partition[rows].tolist(),
                batch.offset[rows].tolist(),
                strict=True,
            )
        ]
        return Slices.of(written)

    def encode_by_column(self, batch: RecordBatch, predicted: Predicted) -> Slices:
        """As ``encode``, whatever the number of rows."""
        rows, scores, ids = predicted.rows, predicted.scores, padded(predicted.event_ids)
        tails, chances = self._tails(scores.classes), scores.probabilities
        width = SINGLE_OBJECT_BYTES + int((ids.end - ids.start).max(initial=0)) + max(map(len, tails))
        width += WORD * (1 + len(scores.classes)) + (_VARINTS + 1) * LONGEST_VARINT
        if width * len(rows) > _LARGEST_BUFFER_BYTES and len(rows) > 1:
            middle = len(rows) // 2
            halves = (np.arange(middle), np.arange(middle, len(rows)))
            return Slices.joined([self.encode(batch, predicted.take(half)) for half in halves])
        out = ByteRows(len(rows), width)
        out.constant(self._prefix)
        out.text(ids)
        out.long(predicted.event_times_ms)
        if scores.label is None:
            out.constant(self._model + _NULL)
        else:
            out.choice(tails, scores.label)
        out.double(scores.score)
        if chances is not None and chances.shape[1]:
            out.constant(long(chances.shape[1]))
            for k in range(chances.shape[1]):
                out.double(chances[:, k])
        out.constant(_END_OF_ARRAY)
        out.long(batch.partition[rows])
        out.long(batch.offset[rows])
        return out.slices()

    def _tails(self, classes: tuple[str, ...]) -> list[bytes]:
        """The constant bytes with the label, which is one of few: a copy for each; without classes, one without label."""
        found = self._tails_of.get(classes)
        if found is None:
            labels = [_NOT_NULL + string(name) for name in classes] or [_NULL]
            found = self._tails_of[classes] = [self._model + label for label in labels]
        return found
