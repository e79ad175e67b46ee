"""Test rows, from a training script's arrays and frames or from a file, as the columns that the worker will see."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import numpy as np

from worker.avro.schema import Kind
from worker.columns import Columns
from worker.errors import ConfigurationError
from worker.models.golden import column_of
from worker.models.manifest import Feature

_TRUE, _FALSE = {"true", "1", "1.0", "t", "yes"}, {"false", "0", "0.0", "f", "no"}


def columns_from(X: Any, features: Sequence[Feature]) -> Columns:  # noqa: N803 - scikit-learn's name
    """Columns of a data frame (by name), an array of shape (n, features) or ready columns; NaN in integers is null.

    Raises ConfigurationError for features that are not there.
    """
    if isinstance(X, Columns):
        _require(set(X.by_name), features)
        return Columns({feature.name: X[feature.name] for feature in features}, len(X))
    if hasattr(X, "columns"):
        _require(set(map(str, X.columns)), features)
        raw = [X[feature.name].to_numpy(dtype=object) for feature in features]
    else:
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != len(features):
            raise ConfigurationError(f"X_test has shape {array.shape}, and there are {len(features)} features")
        raw = [array[:, i] for i in range(len(features))]
    columns = {
        feature.name: column_of(_values(column.tolist(), feature), feature.kind)
        for feature, column in zip(features, raw, strict=True)
    }
    return Columns(columns, len(X))


def kinds_of(X: Any, names: Sequence[str]) -> tuple[Feature, ...]:  # noqa: N803 - scikit-learn's name
    """Features of these names, their kinds told from a frame's dtypes; an array's are all doubles."""
    if not hasattr(X, "columns"):
        return tuple(Feature(name=name, kind=Kind.DOUBLE) for name in names)
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise ConfigurationError(f"X_test has no column {', '.join(absent)}")
    kinds = {"b": Kind.BOOLEAN, "i": Kind.LONG, "u": Kind.LONG, "f": Kind.DOUBLE}
    return tuple(Feature(name=name, kind=kinds.get(X[name].dtype.kind, Kind.STRING)) for name in names)


def read_samples(path: Path, features: Sequence[Feature], target: str) -> tuple[Columns, list[Any]]:
    """Columns and targets of a CSV file with a header line, or of an Avro container file.

    An empty CSV cell is null. Raises ConfigurationError.
    """
    try:
        rows = list(_avro_rows(path) if path.suffix == ".avro" else _csv_rows(path))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigurationError(f"test data {path} can't be read: {error}") from None
    if not rows:
        raise ConfigurationError(f"test data {path} holds no rows")
    _require(set(rows[0]), [*features, Feature(name=target, kind=Kind.STRING)])
    columns = {
        feature.name: column_of(
            [_read(row[feature.name], feature, number) for number, row in enumerate(rows, 1)], feature.kind
        )
        for feature in features
    }
    targets = [row[target] for row in rows]
    if (without := sum(value in (None, "") for value in targets)) > 0:
        raise ConfigurationError(f"{without} rows of {path} have no {target}")
    return Columns(columns, len(rows)), targets


def _require(present: set[str], features: Sequence[Feature]) -> None:
    absent = [feature.name for feature in features if feature.name not in present]
    if absent:
        raise ConfigurationError(f"the test data have no column {', '.join(absent)}")


def _values(values: Sequence[Any], feature: Feature) -> list[Any]:
    try:
        return [None if _is_missing(value) else _parsed(value, feature.kind) for value in values]
    except (TypeError, ValueError):
        raise ConfigurationError(f"column {feature.name} holds values that are not of kind {feature.kind}") from None


def _is_missing(value: Any) -> bool:
    # only NaN differs from itself
    return value is None or str(value) == "<NA>" or bool(value != value)  # noqa: PLR0124


def _read(value: Any, feature: Feature, number: int) -> Any:
    if value is None or value == "":
        return None
    try:
        return _parsed(value, feature.kind)
    except ValueError:
        raise ConfigurationError(
            f"row {number} of the test data: {feature.name} is not of kind {feature.kind}"
        ) from None


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
