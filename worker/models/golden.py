"""Golden rows: inputs with the predictions that they had when the model was packed, as an Avro container file.

They travel with the model, so that any worker can tell whether it predicts what was tested: at start-up, and again
when a whole batch fails and the question is whether the model or the rows are at fault.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np

from worker.avro.schema import Kind
from worker.columns import Column, Columns, NumberColumn, Scores, TextColumn, VectorColumn
from worker.errors import ModelError
from worker.models.manifest import GOLDEN, Feature, Manifest

MAX_GOLDEN_ROWS = 100
TOLERANCE = 1e-9
"""Relative and absolute: how far scores may lie apart on another CPU type or library version."""

_DTYPES: Mapping[Kind, Any] = {Kind.BOOLEAN: np.bool_, Kind.INT: np.int64, Kind.LONG: np.int64}
_PLAIN = {Kind.BOOLEAN: bool, Kind.INT: int, Kind.LONG: int, Kind.FLOAT: float, Kind.DOUBLE: float}


@dataclass(frozen=True, slots=True)
class Golden:
    """Up to 100 rows and what the packed model said of them."""

    columns: Columns
    expected: Scores

    def difference(self, actual: Scores) -> str | None:
        """How the scores differ from the expected ones, or None when they agree."""
        expected = self.expected
        if len(actual) != len(expected):
            return f"{len(actual)} scores for {len(expected)} golden rows"
        far = ~np.isclose(actual.score, expected.score, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if far.any():
            largest = float(np.nanmax(np.abs(actual.score - expected.score)[far]))
            return f"{int(far.sum())} of {len(far)} golden rows have another score (by up to {largest:.3g})"
        if expected.label is not None and not np.array_equal(expected.label, actual.label):  # type: ignore[arg-type]  # None is unequal
            return "golden rows have other labels"
        return None


def write_golden(columns: Columns, scores: Scores, features: Sequence[Feature]) -> bytes:
    """Rows and expected scores as a container file; features are by position, since any name may stand in a manifest."""
    values = [_plain(columns[feature.name], feature) for feature in features]
    records: list[dict[str, Any]] = []
    for row in range(len(columns)):
        record: dict[str, Any] = {f"feature_{i}": column[row] for i, column in enumerate(values)}
        record["score"] = float(scores.score[row])
        record["label"] = None if scores.label is None else scores.classes[int(scores.label[row])]
        records.append(record)
    out = io.BytesIO()
    # A fixed sync marker: the same rows give the same file.
    fastavro.writer(out, fastavro.parse_schema(_schema(features)), records, sync_marker=b"golden rows only")
    return out.getvalue()


def read_golden(content: bytes, manifest: Manifest) -> Golden:
    """Raises ModelError when the file does not fit its manifest."""
    try:
        rows: list[Any] = list(fastavro.reader(io.BytesIO(content)))
        columns = {
            feature.name: column_of([row[f"feature_{i}"] for row in rows], feature)
            for i, feature in enumerate(manifest.features)
        }
        score = np.array([row["score"] for row in rows], np.float64)
        label = np.array([manifest.classes.index(row["label"]) for row in rows], np.int64) if manifest.classes else None
    except Exception as error:
        raise ModelError(f"{GOLDEN} does not fit the manifest: {error}", hint="pack the model again") from error
    if not rows:
        raise ModelError(f"{GOLDEN} holds no rows", hint="pack the model again, with test rows")
    return Golden(Columns(columns, len(rows)), Scores(score, manifest.classes, label))


def column_of(values: Sequence[Any], feature: Feature) -> Column:
    """A column of Python values, ``None`` where null; of lists for a vector."""
    kind = feature.kind
    dtype = _DTYPES.get(kind, np.float64)
    if feature.length is not None:
        return VectorColumn.of(values, dtype)
    null = np.fromiter((value is None for value in values), np.bool_, len(values))
    mask = null if null.any() else None
    if kind.is_text:
        return TextColumn.of(values)
    return NumberColumn(np.array([0 if value is None else value for value in values], dtype), mask)


def _plain(column: Column, feature: Feature) -> list[Any]:
    values: list[Any] = column.objects().tolist()
    convert: Callable[[Any], Any] = _PLAIN.get(feature.kind, str)
    if feature.length is not None:
        return [None if vector is None else [convert(item) for item in vector] for vector in values]
    return [None if value is None else convert(value) for value in values]


def _schema(features: Sequence[Feature]) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [
        {"name": f"feature_{i}", "doc": feature.name, "type": ["null", _avro_type(feature)]}
        for i, feature in enumerate(features)
    ]
    fields.append({"name": "score", "type": "double"})
    fields.append({"name": "label", "type": ["null", "string"]})
    return {"type": "record", "name": "predictionworker.GoldenRow", "fields": fields}


def _avro_type(feature: Feature) -> Any:
    """Wide enough to give back the same bits."""
    wide = {Kind.INT: Kind.LONG, Kind.FLOAT: Kind.DOUBLE, Kind.ENUM: Kind.STRING}
    declared = wide.get(feature.kind, feature.kind).value
    return declared if feature.length is None else {"type": "array", "items": declared}
