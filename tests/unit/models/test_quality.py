"""The quality on held-out rows, as it gets into a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from worker.errors import ModelError
from worker.models import open_bundle, pack
from worker.models.manifest import QUALITY
from worker.models.quality import quality_of, scoring_of
from worker.quality.reference import QualityReference

ROWS = np.random.default_rng(1).normal(size=(400, 2))


def reference(folder: Path, model: object, target: object, **options: object) -> QualityReference:
    pack(model, to=folder, name="m", version="1.0.0", X_test=ROWS, y_test=target, features=["a", "b"], **options)  # type: ignore[arg-type]
    found = quality_of(open_bundle(folder).files)
    assert found is not None
    return found


def test_binary(tmp_path: Path) -> None:
    """It is what the packed model says of the test rows, by its own threshold and positive class."""
    target = np.where(ROWS[:, 0] + np.random.default_rng(2).normal(size=400) > 0, "yes", "no")
    model = LogisticRegression().fit(ROWS, target)
    found = reference(tmp_path / "m", model, target, positive_class="no", threshold=0.7)
    said = np.where(model.predict_proba(ROWS)[:, 0] >= 0.7, "no", "yes")
    assert (found.records, found.wrong) == (400, int((said != target).sum()))
    assert found.figures["recall"] == np.mean(said[target == "no"] == "no")
    assert found.wrong_beyond is None


def test_multiclass(tmp_path: Path) -> None:
    """Of several classes the predicted one counts."""
    target = np.digitize(ROWS[:, 0] + np.random.default_rng(2).normal(size=400), [-0.5, 0.5])
    model = LogisticRegression().fit(ROWS, target)
    found = reference(tmp_path / "m", model, target)
    assert found.wrong == int((model.predict(ROWS) != target).sum())
    assert {"precision_macro", "log_loss", "brier"} <= found.figures.keys()


def test_regression(tmp_path: Path) -> None:
    """A tenth of the rows are called wrong: those that are furthest off; live ones are held to the same distance."""
    target = ROWS[:, 0] + np.random.default_rng(2).normal(size=400)
    model = LinearRegression().fit(ROWS, target)
    found = reference(tmp_path / "m", model, target, task="regression")
    assert found.error_rate == pytest.approx(0.1, abs=0.005)
    assert found.figures["mae"] == pytest.approx(np.mean(np.abs(model.predict(ROWS) - target)), rel=1e-9)
    manifest = open_bundle(tmp_path / "m").manifest
    assert scoring_of(manifest, found).wrong_beyond == found.wrong_beyond
    assert scoring_of(manifest, None, limit=0.25).wrong_beyond == 0.25


def test_it_keeps_its_text() -> None:
    """By way of JSON."""
    found = QualityReference(10, 3, {"accuracy": 0.7}, 1.5)
    assert QualityReference.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"format": 2}', QualityReference(3, 4, {}).to_json(), QualityReference(0, 0, {}).to_json()],
)
def test_a_damaged_one_is_refused(text: str) -> None:
    """With what to do about it; a bundle without one has none."""
    with pytest.raises(ModelError, match=f"{QUALITY} can't be read"):
        quality_of({QUALITY: text.encode()})
    assert quality_of({}) is None
