"""Test rows, from a training script's arrays and frames or from a file, as the columns that the worker will see."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import numpy as np

from worker.avro.schema import Kind
from worker.columns import Columns
from worker.errors import ConfigurationError
from worker.models.golden import column_of
from worker.models.manifest import Feature
from worker.models.vectors import grouped

_SHOWN = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRUE, _FALSE = {"true", "1", "1.0", "t", "yes"}, {"false", "0", "0.0", "f", "no"}


def columns_from(X: Any, features: Sequence[Feature]) -> Columns:  # noqa: N803 - scikit-learn's name
    """Columns of a data frame (by name), an array of shape (n, columns) or ready columns; NaN in integers is null.

    A vector is as many columns as it has items; it is null where all of them are missing.

    Raises ConfigurationError for features that are not there.
    """
    if isinstance(X, Columns):
        _require(set(X.by_name), [feature.name for feature in features])
        return Columns({feature.name: X[feature.name] for feature in features}, len(X))
    names = [name for feature in features for name in feature.columns]
    if hasattr(X, "columns"):
        _require(set(map(str, X.columns)), names)
        raw = {name: X[name].to_numpy(dtype=object) for name in names}
    else:
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != len(names):
            raise ConfigurationError(f"X_test has shape {array.shape}, and the features are {len(names)} columns")
        raw = {name: array[:, i] for i, name in enumerate(names)}
    columns = {
        feature.name: column_of(_values([raw[name].tolist() for name in feature.columns], feature), feature)
        for feature in features
    }
    return Columns(columns, len(X))


def kinds_of(X: Any, names: Sequence[str]) -> tuple[Feature, ...]:  # noqa: N803 - scikit-learn's name
    """Features of these names, their kinds told from a frame's dtypes; an array's are all doubles."""
    if not hasattr(X, "columns"):
        return tuple(Feature(name=name, kind=Kind.DOUBLE, length=length) for name, length in grouped(names))
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise ConfigurationError(f"X_test has no column {', '.join(absent)}")
    kinds = {"b": Kind.BOOLEAN, "i": Kind.LONG, "u": Kind.LONG, "f": Kind.DOUBLE}
    features: list[Feature] = []
    for name, length in grouped(names):
        if length is None:
            features.append(Feature(name=name, kind=kinds.get(X[name].dtype.kind, Kind.STRING)))
        else:
            whole = all(X[f"{name}[{i}]"].dtype.kind in "iu" for i in range(length))
            features.append(Feature(name=name, kind=Kind.LONG if whole else Kind.DOUBLE, length=length))
    return tuple(features)


def read_samples(path: Path, features: Sequence[Feature], target: str) -> tuple[Columns, list[Any]]:
    """Columns and targets of a CSV file with a header line, or of an Avro container file.

    An empty CSV cell is null. A vector is columns ``name[0]``, ``name[1]`` and so on, in a container file an array.
    Raises ConfigurationError.
    """
    rows = _rows(path)
    columns = _columns_of(rows, features, target)
    targets = [row[target] for row in rows]
    if (without := sum(value in (None, "") for value in targets)) > 0:
        raise ConfigurationError(f"{without} rows of {path} have no {target}")
    return columns, targets


def read_training(path: Path, features: Sequence[Feature], time: str | None) -> tuple[Columns, list[Any] | None]:
    """Columns, and the times of the rows if a column holds them; from files as for ``read_samples``.

    A time is ISO 8601 (UTC unless it says otherwise), Unix milliseconds, or an Avro timestamp. Raises ConfigurationError.
    """
    rows = _rows(path)
    columns = _columns_of(rows, features, *([] if time is None else [time]))
    return columns, None if time is None else [_time(row[time], number) for number, row in enumerate(rows, 1)]


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        rows = list(_avro_rows(path) if path.suffix == ".avro" else _csv_rows(path))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigurationError(f"data {path} can't be read: {error}") from None
    if not rows:
        raise ConfigurationError(f"data {path} holds no rows")
    return rows


def _columns_of(rows: Sequence[Mapping[str, Any]], features: Sequence[Feature], *further: str) -> Columns:
    """The features' columns; ``further`` ones must be there, too."""
    present = set(rows[0])
    _require(present, [*(name for one in features for name in _columns_in(present, one)), *further])
    columns = {
        feature.name: column_of([_read(row, feature, number) for number, row in enumerate(rows, 1)], feature)
        for feature in features
    }
    return Columns(columns, len(rows))


def _time(value: Any, number: int) -> int:
    try:
        if isinstance(value, str):
            value = int(value) if value.lstrip("-").isdigit() else datetime.fromisoformat(value)
        if isinstance(value, datetime):
            moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return (moment - _EPOCH) // timedelta(milliseconds=1)
        return int(value)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"row {number} of the data has no time that can be read", hint="ISO 8601, or Unix milliseconds"
        ) from None


def _require(present: set[str], names: Sequence[str]) -> None:
    absent = [name for name in names if name not in present]
    if absent:
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        raise ConfigurationError(f"the data have no column {', '.join(absent[:_SHOWN])}{more}")


def _columns_in(present: set[str], feature: Feature) -> tuple[str, ...]:
    """Where a file has the feature: in columns of its own, or a vector as one array."""
    return (feature.name,) if feature.name in present else feature.columns


def _values(columns: Sequence[Sequence[Any]], feature: Feature) -> list[Any]:
    try:
        cells = [[None if _is_missing(value) else _parsed(value, feature.kind) for value in c] for c in columns]
        return cells[0] if feature.length is None else [_vector(items, feature) for items in zip(*cells, strict=True)]
    except (TypeError, ValueError):
        raise ConfigurationError(f"column {feature.name} holds values that are not of kind {feature.kind}") from None


def _vector(items: Sequence[Any], feature: Feature) -> list[Any] | None:
    """Null where all items are missing; one alone is NaN. Raises ValueError where the kind has no NaN."""
    missing = sum(item is None for item in items)
    if missing == len(items):
        return None
    if missing and feature.kind not in (Kind.FLOAT, Kind.DOUBLE):
        raise ValueError("some items are missing")
    return [math.nan if item is None else item for item in items]


def _is_missing(value: Any) -> bool:
    # only NaN differs from itself
    return value is None or str(value) == "<NA>" or bool(value != value)  # noqa: PLR0124


def _read(row: Mapping[str, Any], feature: Feature, number: int) -> Any:
    try:
        if feature.length is None:
            return _cell(row[feature.name], feature)
        items = _items_of(row, feature)
        if len(items) == feature.length:
            return _vector([_cell(item, feature) for item in items], feature)
        problem = f"{feature.name} has {len(items)} items, the feature {feature.length}"
    except (TypeError, ValueError):
        problem = f"{feature.name} is not of kind {feature.kind}"
    raise ConfigurationError(f"row {number} of the data: {problem}")


def _items_of(row: Mapping[str, Any], feature: Feature) -> Sequence[Any]:
    """Cells of a vector's own columns, or an array."""
    if feature.name not in row:
        return [row[name] for name in feature.columns]
    whole = row[feature.name]
    if whole is None:
        return [None] * len(feature.columns)
    return whole if isinstance(whole, list) else [whole]


def _cell(value: Any, feature: Feature) -> Any:
    return None if value is None or value == "" else _parsed(value, feature.kind)


def _parsed(value: Any, kind: Kind) -> Any:
    if kind.is_text:
        return str(value)
    if kind is Kind.BOOLEAN:
        word = str(value).lower()
        if word not in _TRUE | _FALSE:
            raise ValueError(word)
        return word in _TRUE
    number = float(value)
    if kind in (Kind.FLOAT, Kind.DOUBLE):
        return number
    if not number.is_integer():
        raise ValueError(value)
    return int(value) if isinstance(value, int) or "." not in str(value) else int(number)


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.DictReader(file, strict=True)


def _avro_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        records: Iterator[Any] = fastavro.reader(file)
        for record in records:
            yield dict(_leaves(record, ""))


def _leaves(record: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
