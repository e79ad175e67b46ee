"""Records of the predictions' and the labels' topic to rows, by partition."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from worker.avro.decode import Decoder
from worker.avro.schema import Field, Kind, RecordSchema
from worker.columns import Columns, NumberColumn, TextColumn, VectorColumn
from worker.pipeline.identity import Identity
from worker.quality.join import LabelRows, PredictionRows
from worker.quality.scoring import Actual, Predicted, Scoring, spellings
from worker.records import IntArray, RecordBatch

_NUMBERS = frozenset({Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DOUBLE})
_CLASSES = frozenset({Kind.STRING, Kind.ENUM, Kind.BOOLEAN, Kind.INT, Kind.LONG})


@dataclass(frozen=True, slots=True)
class LabelFields:
    """Names of the fields of a label: the event's id, what was true, and when that was known."""

    id: str
    label: str
    time: str

    def problems(self, schema: RecordSchema, scoring: Scoring) -> list[str]:
        """What does not fit the schema, a line each."""
        found = [problem.replace("event.", "labels.", 1) for problem in Identity.problems(schema, self.id, self.time)]
        kinds = _NUMBERS if scoring.task == "regression" else _CLASSES
        if (field := schema.field(self.label)) is None or field.kind not in kinds:
            found.append(
                f"labels.label names {self.label}: the schema needs a field of that name, "
                f"{'a number' if scoring.task == 'regression' else 'a string, enum, boolean or integer'}"
            )
        return found


class PredictionReader:
    """Predictions of one model; those of others are passed over. ``decoder``: by ``schemas/prediction.avsc``."""

    def __init__(self, decoder: Decoder, model: str, scoring: Scoring) -> None:
        self._decoder, self._scoring = decoder, scoring
        self._model = (model.encode(),)
        self._classes = {name: index for index, name in enumerate(scoring.classes)}

    def read(self, batch: RecordBatch) -> tuple[dict[int, PredictionRows], int]:
        """By partition, and how many records are no predictions."""
        decoded = self._decoder.decode(batch)
        columns, rows = decoded.columns, decoded.rows
        name = columns["model_name"]
        assert isinstance(name, TextColumn)
        ours = np.flatnonzero(name.codes(self._model) == 0)
        if len(ours) < len(rows):
            columns, rows = columns.take(ours), rows[ours]
        said = self._said(columns)
        ids, times_ms = _slices(columns, "event_id"), _integers(columns, "event_time")
        variants = list(zip(_texts(columns, "model_version"), _texts(columns, "variant"), strict=True))
        found = {
            partition: PredictionRows(
                offsets=batch.offset[rows[own]].tolist(),
                ids=[ids[i] for i in own.tolist()],
                times_ms=times_ms[own],
                timestamps_ms=batch.timestamp_ms[rows[own]],
                variants=[variants[i] for i in own.tolist()],
                said=[said[i] for i in own.tolist()],
            )
            for partition, own in _by_partition(batch.partition[rows])
        }
        return found, len(decoded.refusals)

    def _said(self, columns: Columns) -> list[Predicted]:
        score = columns["score"]
        assert isinstance(score, NumberColumn)
        scores = score.values.tolist()
        if self._scoring.task == "regression":
            return [Predicted(-1, one) for one in scores]
        labels = [self._classes.get(one, -1) for one in _texts(columns, "label")]
        if self._scoring.task == "binary":
            return [Predicted(*one) for one in zip(labels, scores, strict=True)]
        given = columns["probabilities"]
        assert isinstance(given, VectorColumn)
        return [Predicted(*one) for one in zip(labels, scores, map(tuple, given.objects().tolist()), strict=True)]


class LabelReader:
    """Labels by the user's schema. Those that are none, null or unknown to the model are refused."""

    def __init__(self, decoder: Decoder, fields: LabelFields, scoring: Scoring) -> None:
        self._decoder, self._fields, self._scoring = decoder, fields, scoring
        self._identity = Identity.of(decoder.schema, fields.id, fields.time)
        self._classes = spellings(scoring.classes)

    def read(self, batch: RecordBatch) -> tuple[dict[int, LabelRows], int]:
        """By partition, and how many records are no labels of this model's."""
        decoded = self._decoder.decode(batch)
        columns, rows = decoded.columns, decoded.rows
        actual = [self._actual(value) for value in columns[self._fields.label].objects().tolist()]
        good = np.array([i for i, one in enumerate(actual) if one is not None], np.int64)
        refused = len(decoded.refusals) + len(actual) - len(good)
        columns, rows = columns.take(good), rows[good]
        known = [one for one in actual if one is not None]
        ids, times_ms = (
            self._identity.ids(batch, columns, rows).to_list(),
            self._identity.times_ms(batch, columns, rows),
        )
        found = {
            partition: LabelRows(
                offsets=batch.offset[rows[own]].tolist(),
                ids=[ids[i] or b"" for i in own.tolist()],
                times_ms=times_ms[own].tolist(),
                timestamps_ms=batch.timestamp_ms[rows[own]].tolist(),
                actual=[known[i] for i in own.tolist()],
            )
            for partition, own in _by_partition(batch.partition[rows])
        }
        return found, refused

    def _actual(self, value: object) -> Actual | None:
        if value is None:
            return None
        if self._scoring.task != "regression":
            return self._classes.get(str(value))
        number = float(value) if isinstance(value, (int, float)) else math.nan
        return number if math.isfinite(number) else None


def label_field(schema: RecordSchema, given: str | None, scoring: Scoring) -> str:
    """The field with what was true: the one that is given, else ``value`` for a number and ``label`` for a class."""
    if given is not None:
        return given
    value: Field | None = schema.field("value")
    return "value" if scoring.task == "regression" and value is not None else "label"


def _by_partition(partition: IntArray) -> Iterator[tuple[int, IntArray]]:
    for one in np.unique(partition).tolist():
        yield one, np.flatnonzero(partition == one)


def _slices(columns: Columns, name: str) -> Sequence[bytes]:
    column = columns[name]
    assert isinstance(column, TextColumn)
    return [one or b"" for one in column.slices().to_list()]


def _texts(columns: Columns, name: str) -> list[str]:
    found: list[str] = columns[name].objects().tolist()
    return found


def _integers(columns: Columns, name: str) -> IntArray:
    column = columns[name]
    assert isinstance(column, NumberColumn)
    return column.values.astype(np.int64)
