from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from tests.unit.models import trained
from tests.unit.models.trained import TEST, TRAIN, applicants, columns, frame, outcome, packed, rewrite
from worker.avro.schema import Kind
from worker.columns import Columns, NumberColumn, TextColumn
from worker.errors import ModelError
from worker.models import BundlePredictor, open_bundle
from worker.models.estimator import parts_of
from worker.ports import Predictor


def served(bundle: Path) -> BundlePredictor:
    predictor = BundlePredictor(open_bundle(bundle))
    predictor.check_golden()
    return predictor


def continuous(rows: trained.Floats) -> Any:
    return rows[:, 2] * 3 + rows[:, 1]


MODELS: dict[str, tuple[Callable[[], Any], trained.Target]] = {
    "logistic": (trained.logistic, outcome),
    "many classes": (trained.many_classes, trained.grades),
    "boosting": (trained.boosting, outcome),
    "forest": (trained.forest, outcome),
    "forest regressor": (trained.forest_regressor, continuous),
    "ridge": (trained.ridge, continuous),
    "network": (trained.network, outcome),
}


@pytest.mark.parametrize("kind", MODELS)
def test_predicts_what_the_model_does(kind: str, tmp_path: Path) -> None:
    """Scores and labels are the trained model's own."""
    make, target = MODELS[kind]
    model = make()
    packed(tmp_path / "m", model, target)
    scores = served(tmp_path / "m").predict(columns(TEST))
    if scores.label is None:
        np.testing.assert_allclose(scores.score, model.predict(TEST), rtol=1e-9)
        return
    own = model.predict_proba(TEST)
    assert scores.probabilities is not None
    np.testing.assert_allclose(scores.probabilities, own, atol=1e-9)
    if len(scores.classes) == 2:
        np.testing.assert_array_equal(scores.score, scores.probabilities[:, 1])
        np.testing.assert_array_equal(scores.label, own[:, 1] >= 0.5)
    else:
        np.testing.assert_array_equal([scores.classes[i] for i in scores.label], model.predict(TEST))
        np.testing.assert_array_equal(scores.score, scores.probabilities.max(axis=1))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("checked", [True, False], ids=["after the golden rows", "before"])
def test_same_bits_in_any_batch(kind: str, checked: bool, tmp_path: Path) -> None:
    """A row's score has the same bits in batches of 1, 3, 64, 65, 5,000 and 10,000 rows."""
    make, target = MODELS[kind]
    packed(tmp_path / "m", make(), target)
    predictor = served(tmp_path / "m") if checked else BundlePredictor(open_bundle(tmp_path / "m"))
    rows = applicants(10_000, seed=2)
    whole = predictor.predict(columns(rows))
    for size in (1, 3, 64, 65, 5000):
        for first in range(0, min(10_000 - size, size * 20) + 1, size):
            part = predictor.predict(columns(rows[first : first + size]))
            stretch = slice(first, first + size)
            assert part.score.tobytes() == whole.score[stretch].tobytes()
            if part.probabilities is not None and whole.probabilities is not None:
                assert part.probabilities.tobytes() == whole.probabilities[stretch].tobytes()


def test_data_frame_with_text(tmp_path: Path) -> None:
    """A pipeline that selects columns by name gets a data frame, and predicts what it did in training."""
    model, test = trained.by_name(), frame(300, seed=1)
    manifest = packed(tmp_path / "m", model, X_test=test, features=None)
    assert manifest.input == "dataframe"
    assert {feature.kind for feature in manifest.features} == {Kind.DOUBLE, Kind.STRING}
    region = TextColumn.of(test["region"].tolist())
    batch = columns(test[list(trained.NAMES)].to_numpy()).with_column("region", region)
    predictor = served(tmp_path / "m")
    scores = predictor.predict(batch)
    np.testing.assert_allclose(scores.score, model.predict_proba(test)[:, 1], atol=1e-9)
    alone = predictor.predict(batch.take(np.array([7])))
    assert alone.score.tobytes() == scores.score[7:8].tobytes()


def test_null_text_is_nan_in_a_data_frame(tmp_path: Path) -> None:
    """A null string is the missing value that ``read_csv`` gives in training."""
    train = frame(600)
    train.loc[:200, "region"] = np.nan
    model = trained.by_name().fit(train, outcome(TRAIN))
    packed(tmp_path / "m", model, X_test=train, y_test=outcome(TRAIN), features=None)
    batch = columns(TRAIN[:2]).with_column("region", TextColumn.of([None, None]))
    own = model.predict_proba(train[:2])[:, 1]
    np.testing.assert_allclose(served(tmp_path / "m").predict(batch).score, own, atol=1e-9)


def test_null_number_is_nan(tmp_path: Path) -> None:
    """A null number reaches the model as NaN, not as the zero that stands in its place."""
    holes = TRAIN.copy()
    holes[::3, 3] = np.nan
    model = trained.boosting().fit(holes, outcome(TRAIN))
    packed(tmp_path / "m", model)
    null = np.array([True, False])
    batch = columns(TEST[:2]).with_column("debt_ratio", NumberColumn(np.array([0.0, 0.5]), null))
    expected = model.predict_proba(np.array([[*TEST[0, :3], np.nan], [*TEST[1, :3], 0.5]]))[:, 1]
    np.testing.assert_allclose(served(tmp_path / "m").predict(batch).score, expected, atol=1e-9)


def test_columns_are_taken_by_name(tmp_path: Path) -> None:
    """The order of a batch's columns, their integer types and further columns change nothing."""
    packed(tmp_path / "m")
    predictor = served(tmp_path / "m")
    whole = np.floor(TEST)
    reordered = {
        name: NumberColumn(whole[:, i].astype(np.int64)) for i, name in reversed(list(enumerate(trained.NAMES)))
    }
    photo = TextColumn.of([b"x"] * len(TEST), is_bytes=True)
    batch = Columns(reordered, len(TEST)).with_column("photo", photo)
    expected = predictor.predict(columns(whole)).score
    np.testing.assert_array_equal(predictor.predict(batch).score, expected)


@pytest.mark.parametrize(("positive", "threshold"), [("1", 0.9), ("0", 0.2)])
def test_threshold_and_positive_class(positive: str, threshold: float, tmp_path: Path) -> None:
    """A binary row is labelled positive where the positive class's probability is at least the threshold."""
    model = trained.logistic()
    packed(tmp_path / "m", model, positive_class=positive, threshold=threshold)
    scores = served(tmp_path / "m").predict(columns(TEST))
    np.testing.assert_allclose(scores.score, model.predict_proba(TEST)[:, int(positive)], atol=1e-9)
    assert scores.label is not None
    np.testing.assert_array_equal(scores.label == int(positive), scores.score >= threshold)


def test_empty_batch(tmp_path: Path) -> None:
    """No rows have no scores, and the model is not asked."""
    packed(tmp_path / "m")
    scores = served(tmp_path / "m").predict(columns(TEST[:0]))
    assert len(scores) == 0
    assert scores.probabilities is not None
    assert scores.probabilities.shape == (0, 2)


def test_fitted_on_a_data_frame_and_served_a_matrix(tmp_path: Path) -> None:
    """Column names of the training do not make scikit-learn warn on every batch."""
    table = pd.DataFrame(TRAIN, columns=list(trained.NAMES))
    model = VotingClassifier([("a", LogisticRegression(max_iter=1000)), ("b", trained.boosting())], voting="soft")
    model.fit(table, outcome(TRAIN))
    manifest = packed(tmp_path / "m", model, X_test=pd.DataFrame(TEST, columns=list(trained.NAMES)), features=None)
    assert manifest.input == "matrix"
    assert [feature.name for feature in manifest.features] == list(trained.NAMES)
    predictor = served(tmp_path / "m")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.predict(columns(TEST))
    assert hasattr(model, "feature_names_in_"), "the caller's own model is left as it was"


def test_one_thread_everywhere(tmp_path: Path) -> None:
    """Every part of the model, fitted inside others or not, is set to one job; so are BLAS and OpenMP."""
    forest = RandomForestClassifier(5, n_jobs=-1, random_state=0)
    model = CalibratedClassifierCV(forest, n_jobs=2, cv=2).fit(TRAIN, outcome(TRAIN))
    packed(tmp_path / "m", model)
    assert model.n_jobs == 2
    opened = open_bundle(tmp_path / "m")
    with threadpool_limits(limits=2):
        predictor = BundlePredictor(opened)
        predictor.check_golden()
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    jobs = [part.n_jobs for part in parts_of(opened.model) if hasattr(part, "n_jobs")]
    assert set(jobs) == {1}
    assert len(jobs) >= 4


def test_satisfies_the_port(tmp_path: Path) -> None:
    """The predictor is a ``Predictor``."""
    packed(tmp_path / "m")
    predictor: Predictor = served(tmp_path / "m")
    assert predictor.is_sound()


def test_golden_rows_tell_another_model(tmp_path: Path) -> None:
    """A model that does not predict as packed is refused at start-up, and is not sound."""
    packed(tmp_path / "good")
    packed(tmp_path / "bad", LogisticRegression(C=1e-3).fit(TRAIN - TRAIN.mean(axis=0), outcome(TRAIN)))
    rewrite(tmp_path / "good", model_bytes=(tmp_path / "bad" / "model.joblib").read_bytes())
    predictor = BundlePredictor(open_bundle(tmp_path / "good"))
    assert not predictor.is_sound()
    with pytest.raises(ModelError, match="does not predict as packed"):
        predictor.check_golden()


@pytest.mark.parametrize(("shift", "sound"), [(1e-12, True), (1e-6, False)])
def test_golden_rows_agree_to_a_tolerance(shift: float, sound: bool, tmp_path: Path) -> None:
    """Scores that differ by rounding are the same model; by a millionth, with equal labels, they are not."""
    packed(tmp_path / "m")
    opened = open_bundle(tmp_path / "m")
    opened.model.steps[1][1].intercept_ += shift
    predictor = BundlePredictor(opened)
    assert predictor.is_sound() is sound
    if not sound:
        with pytest.raises(ModelError, match="another score"):
            predictor.check_golden()


def test_threshold_is_part_of_what_golden_rows_hold(tmp_path: Path) -> None:
    """Golden rows notice a changed label even where the scores agree."""
    packed(tmp_path / "m")
    rewrite(tmp_path / "m", threshold=0.95)
    with pytest.raises(ModelError, match="labels"):
        BundlePredictor(open_bundle(tmp_path / "m")).check_golden()


def test_model_that_raises_on_its_golden_rows(tmp_path: Path) -> None:
    """A model that can't take its own golden rows is refused at start-up, and is not sound."""
    packed(tmp_path / "m")
    rewrite(tmp_path / "m", features=[{"name": name, "kind": "double"} for name in ("age", "income", "debt_ratio")])
    predictor = BundlePredictor(open_bundle(tmp_path / "m"))
    with pytest.raises(ModelError, match="fails on its golden rows"):
        predictor.check_golden()
    assert not predictor.is_sound()


def test_wrong_shape_is_the_models_fault(tmp_path: Path) -> None:
    """An output of the wrong shape is no row's fault."""
    with pytest.raises(ModelError, match="shape"):
        packed(tmp_path / "m", trained.Misshapen(), features=trained.FEATURES)
    assert not (tmp_path / "m").exists()


def test_model_that_is_not_deterministic(tmp_path: Path) -> None:
    """A model that answers otherwise every time can't be packed."""
    with pytest.raises(ModelError, match="not deterministic"):
        packed(tmp_path / "m", trained.Moody(), continuous, task="regression")
    assert list(tmp_path.iterdir()) == []


def test_nan_is_handed_on(tmp_path: Path) -> None:
    """A NaN score is returned as it is: the pipeline makes a dead letter of that row alone."""
    packed(tmp_path / "m")
    opened = open_bundle(tmp_path / "m")
    opened.model.steps[1][1].intercept_[:] = np.nan
    assert np.isnan(BundlePredictor(opened).predict(columns(TEST)).score).all()


def test_a_models_own_exception_passes(tmp_path: Path) -> None:
    """What the model raises on a row reaches the caller, who bisects."""
    packed(tmp_path / "m")
    predictor = served(tmp_path / "m")
    with pytest.raises(ValueError, match="NaN"):
        predictor.predict(columns(np.where(TEST[3, 1] == TEST, np.nan, TEST)))
