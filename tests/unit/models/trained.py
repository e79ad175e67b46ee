"""Small real models and the rows that they were trained on, for the tests beside this file."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from worker.avro.schema import Kind, parse_schema
from worker.columns import Columns, NumberColumn
from worker.models import Feature, Manifest, pack
from worker.models.contents import read_contents
from worker.models.manifest import MANIFEST, sha256

NAMES = ("age", "credit_score", "income", "debt_ratio")
FEATURES = tuple(Feature(name=name, kind=Kind.DOUBLE) for name in NAMES)
SCHEMA = parse_schema(
    json.dumps(
        {
            "type": "record",
            "name": "Applicant",
            "namespace": "bank",
            "fields": [
                {"name": "age", "type": "int"},
                {"name": "credit_score", "type": "int"},
                {"name": "income", "type": "double"},
                {"name": "debt_ratio", "type": ["null", "double"]},
                {"name": "region", "type": {"type": "enum", "name": "Region", "symbols": ["north", "south", "west"]}},
                {"name": "name", "type": "string"},
                {"name": "photo", "type": "bytes"},
            ],
        }
    )
)

Floats = npt.NDArray[np.float64]


def applicants(rows: int, seed: int = 0) -> Floats:
    """Shape (rows, 4): age 18 to 100, credit score 300 to 850, income in thousands, debt ratio."""
    random = np.random.default_rng(seed)
    uniform = random.uniform([18, 300, 10, 0], [100, 850, 200, 1], (rows, 4))
    return np.asarray(uniform, np.float64)


def outcome(rows: Floats) -> npt.NDArray[np.int64]:
    """1 where the loan is paid back, which the features decide."""
    good = (rows[:, 1] - 575) / 100 + (rows[:, 2] - 100) / 50 - 2 * (rows[:, 3] - 0.5)
    return (good > 0).astype(np.int64)


def grades(rows: Floats) -> npt.NDArray[np.str_]:
    return np.array([f"g{grade:02}" for grade in (rows[:, 1] // 28).astype(int)])


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    table = pd.DataFrame(applicants(rows, seed), columns=list(NAMES))
    table["region"] = np.random.default_rng(seed).choice(["north", "south", "west"], rows)
    return table


def columns(rows: Floats) -> Columns:
    return Columns({name: NumberColumn(rows[:, i]) for i, name in enumerate(NAMES)}, len(rows))


TRAIN = applicants(600)
TEST = applicants(300, seed=1)


@functools.cache
def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(TRAIN, outcome(TRAIN))


@functools.cache
def many_classes() -> Any:
    """20 classes: the product is large enough for BLAS to change its kernel between small and large batches."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=20, tol=1)).fit(TRAIN, grades(TRAIN))


def boosting() -> Any:
    return HistGradientBoostingClassifier(max_iter=10).fit(TRAIN, outcome(TRAIN))


def forest() -> Any:
    return RandomForestClassifier(10, n_jobs=-1, random_state=0).fit(TRAIN, outcome(TRAIN))


def forest_regressor() -> Any:
    return RandomForestRegressor(10, n_jobs=-1, random_state=0).fit(TRAIN, TRAIN[:, 2] + TRAIN[:, 1])


def ridge() -> Any:
    return Ridge().fit(TRAIN, TRAIN[:, 2] * 3 + TRAIN[:, 1])


@functools.cache
def network() -> Any:
    model = make_pipeline(StandardScaler(), MLPClassifier((100, 50), max_iter=300, tol=1e-1, random_state=0))
    return model.fit(TRAIN, outcome(TRAIN))


def by_name() -> Any:
    """Selects its columns by name, text among them."""
    prepared = ColumnTransformer(
        [
            ("number", StandardScaler(), ["credit_score", "income"]),
            ("text", OneHotEncoder(handle_unknown="ignore"), ["region"]),
        ]
    )
    return make_pipeline(prepared, LogisticRegression()).fit(frame(600), outcome(TRAIN))


Target = Callable[[Floats], npt.NDArray[Any]]


def packed(to: Path, model: Any = None, target: Target = outcome, **options: Any) -> Manifest:
    """A bundle of a logistic regression, or of what is given."""
    given = {"name": "loans", "version": "1.0.0", "features": FEATURES, "X_test": TEST, "y_test": target(TEST)}
    return pack(logistic() if model is None else model, to=to, **{**given, **options})


def rewrite(bundle: Path, *, model_bytes: bytes | None = None, **changes: Any) -> str:
    """Edit a bundle's manifest, with all digests made right again; returns the manifest's."""
    values = json.loads((bundle / MANIFEST).read_text())
    if model_bytes is not None:
        (bundle / values["model_file"]).write_bytes(model_bytes)
        values["files"][values["model_file"]] = sha256(model_bytes)
    (bundle / MANIFEST).write_text(json.dumps({**values, **changes}))
    return read_contents(bundle).digest


class Trap:
    """Unpickling it makes a folder: the proof that something was unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


class Misshapen:
    """Says it has two classes, and returns three columns."""

    classes_ = np.array([0, 1])

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))

    def predict_proba(self, rows: Any) -> Any:
        return np.full((len(rows), 3), 1 / 3)


class Moody:
    """Another answer every time, though one that passes for rounding."""

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, rows: Any) -> Any:
        self.calls += 1
        return np.full(len(rows), 1 + self.calls * 1e-13)
