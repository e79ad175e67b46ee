"""The arithmetic of a logistic regression: the bits are scikit-learn's, and so are the refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.unit.models import trained
from tests.unit.models.trained import TEST, TRAIN, Floats, columns, outcome, packed
from worker.models import BundlePredictor, open_bundle
from worker.models.linear import BinaryLogistic

HOLES = TRAIN.copy()
HOLES[::3, 3] = np.nan


def fitted(*steps: Any, on: Floats = TRAIN) -> Any:
    return make_pipeline(*steps, LogisticRegression(max_iter=500)).fit(on, outcome(TRAIN))


KNOWN: dict[str, Callable[[], Any]] = {
    "alone": lambda: LogisticRegression(max_iter=500).fit(TRAIN, outcome(TRAIN)),
    "scaled": lambda: fitted(StandardScaler()),
    "scaled, not centred": lambda: fitted(StandardScaler(with_mean=False)),
    "centred, not scaled": lambda: fitted(StandardScaler(with_std=False)),
    "filled": lambda: fitted(SimpleImputer(strategy="median"), on=HOLES),
    "filled and scaled": lambda: fitted(SimpleImputer(strategy="mean"), StandardScaler(), on=HOLES),
}
OTHER: dict[str, Callable[[], Any]] = {
    "another scaler": lambda: fitted(MinMaxScaler()),
    "scaled before it is filled": lambda: fitted(StandardScaler(), SimpleImputer(), on=HOLES),
    "fills what is not NaN": lambda: fitted(SimpleImputer(missing_values=0.0)),
    "tells what was missing": lambda: fitted(SimpleImputer(add_indicator=True), on=HOLES),
    "many classes": trained.many_classes,
    "no regression": trained.forest,
}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("rows", [1, 64, 300])
def test_same_bits(kind: str, rows: int) -> None:
    """Of a model that is known, the probabilities are the model's to the last bit."""
    model = KNOWN[kind]()
    matrix = TEST[:rows].copy()
    if "filled" in kind:
        matrix[::2, 2] = np.nan
    found = BinaryLogistic.of(model)
    assert found is not None
    own = found.probabilities(matrix.copy())
    assert own is not None
    assert own.tobytes() == model.predict_proba(matrix).tobytes()


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_same_bits_of_few(kind: str, count: int) -> None:
    """Number by number, too; what is missing may be None or NaN, and numbers need not be floats."""
    found = BinaryLogistic.of(KNOWN[kind]())
    assert found is not None
    for first in range(0, 60, count):
        rows: list[list[float | None]] = TEST[first : first + count].tolist()
        rows[0][1] = first % 2 == 0
        if "filled" in kind:
            rows[-1][2] = None if first % 2 else np.nan
        matrix = np.array(rows, np.float64)[np.minimum(np.arange(64), count - 1)]
        own, expected = found.few(rows, 64), found.probabilities(matrix)
        assert own is not None
        assert expected is not None
        assert own.tobytes() == expected[:count].tobytes()


@pytest.mark.parametrize("kind", OTHER)
def test_other_models(kind: str) -> None:
    """A model with any other step, or with a step set otherwise, is left to scikit-learn."""
    assert BinaryLogistic.of(OTHER[kind]()) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_what_the_model_must_judge(value: float) -> None:
    """Where scaled rows are not finite the model is asked, whatever the coefficients: scikit-learn refuses them."""
    model = fitted(StandardScaler())
    model[0].scale_[1] = 1e-3
    model[1].coef_[:] = 0
    found = BinaryLogistic.of(model)
    assert found is not None
    matrix = TEST[:64].copy()
    matrix[7, 1] = value
    with np.errstate(all="ignore"):
        assert found.few(matrix[7:8].tolist(), 64) is None
        assert found.probabilities(matrix) is None
        with pytest.raises(ValueError, match="contains"):
            model.predict_proba(matrix)


def test_served_without_the_model(tmp_path: Path) -> None:
    """Once the golden rows are checked, a known model is not asked any more, save for what it would refuse."""
    packed(tmp_path / "m")
    opened = open_bundle(tmp_path / "m")
    predictor = BundlePredictor(opened)
    predictor.check_golden()
    expected = predictor.predict(columns(TEST)).score
    opened.model.steps.clear()
    assert predictor.predict(columns(TEST)).score.tobytes() == expected.tobytes()
    with pytest.raises(AttributeError, match="predict_proba"):
        predictor.predict(columns(np.full((1, 4), np.nan)))


class Shifted(LogisticRegression):  # type: ignore[misc]  # scikit-learn is untyped
    """Passes by its name for scikit-learn's own, and differs by less than golden rows notice."""

    def predict_proba(self, rows: Any) -> Any:
        return np.clip(super().predict_proba(rows) + 1e-12, 0, 1)


def test_other_bits(tmp_path: Path) -> None:
    """Arithmetic that differs from the model's in the last bits is not used."""
    packed(tmp_path / "m", LogisticRegression(max_iter=500).fit(TRAIN, outcome(TRAIN)))
    opened = open_bundle(tmp_path / "m")
    opened.model.__class__ = Shifted
    Shifted.__module__, Shifted.__qualname__ = LogisticRegression.__module__, LogisticRegression.__qualname__
    assert BinaryLogistic.of(opened.model) is not None
    expected = opened.model.predict_proba(TEST[:64])[:, 1]
    predictor = BundlePredictor(opened)
    predictor.check_golden()
    assert predictor.predict(columns(TEST[:64])).score.tobytes() == expected.tobytes()
