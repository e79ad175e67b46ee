from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, recall_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info

from tests.unit.models import trained
from tests.unit.models.trained import NAMES, SCHEMA, TEST, TRAIN, outcome, packed
from worker.avro.schema import Kind
from worker.errors import ConfigurationError, ModelError
from worker.models import open_bundle


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(tmp_path: Path) -> None:
    """What is packed is what is opened: manifest, golden rows, a world-readable folder and nothing beside it."""
    made, whole = datetime(2026, 1, 2, tzinfo=UTC), np.floor(TEST)
    manifest = packed(tmp_path / "m", created_at=made, code_revision="abc", schema=SCHEMA, features=NAMES, X_test=whole)
    opened = open_bundle(tmp_path / "m")
    assert opened.manifest == manifest
    assert manifest.lineage.created_at == made
    assert manifest.lineage.code_revision == "abc"
    assert manifest.classes == ("0", "1")
    assert manifest.positive_class == "1"
    assert [feature.kind for feature in manifest.features] == [Kind.INT, Kind.INT, Kind.DOUBLE, Kind.DOUBLE]
    assert len(opened.golden.columns) == 100
    assert names(tmp_path) == ["m"]


def test_pickle_format(tmp_path: Path) -> None:
    """A plain pickle serves as well."""
    assert packed(tmp_path / "m", format="pickle").model_file == "model.pickle"
    assert open_bundle(tmp_path / "m").model is not None


def test_same_input_gives_same_bytes(tmp_path: Path) -> None:
    """Packing the same model twice gives the same digest."""
    made = datetime(2026, 1, 2, tzinfo=UTC)
    model = trained.logistic()
    for name in ("a", "b"):
        packed(tmp_path / name, model, created_at=made)
    assert open_bundle(tmp_path / "a").digest == open_bundle(tmp_path / "b").digest


def test_metrics_are_of_what_is_served(tmp_path: Path) -> None:
    """Metrics hold for the labels at the bundle's own threshold and positive class."""
    model = trained.logistic()
    asked = {"recall": 0.0, "neg_log_loss": -10.0, "roc_auc": 0.0}
    manifest = packed(tmp_path / "m", model, threshold=0.9, positive_class=0, thresholds=asked)
    probability, truth = model.predict_proba(TEST)[:, 0], outcome(TEST) == 0
    assert manifest.metrics["recall"] == recall_score(truth, probability >= 0.9)
    assert manifest.metrics["accuracy"] == accuracy_score(truth, probability >= 0.9)
    assert manifest.metrics["roc_auc"] == pytest.approx(roc_auc_score(truth, probability))
    assert manifest.metrics["neg_log_loss"] == pytest.approx(-log_loss(truth, probability))
    assert manifest.thresholds == asked


def test_gate_names_every_failed_metric(tmp_path: Path) -> None:
    """A model below its minima is refused with every value and minimum, and nothing is written."""
    with pytest.raises(ModelError) as caught:
        packed(
            tmp_path / "m", DummyClassifier().fit(TRAIN, outcome(TRAIN)), thresholds={"accuracy": 0.9, "roc_auc": 0.8}
        )
    assert "accuracy is 0." in caught.value.message
    assert "roc_auc is 0.5, the minimum is 0.8" in caught.value.message
    assert names(tmp_path) == []


def test_metric_equal_to_its_minimum_passes(tmp_path: Path) -> None:
    """The minimum itself is enough."""
    accuracy = accuracy_score(outcome(TEST), trained.logistic().predict(TEST))
    assert packed(tmp_path / "m", thresholds={"accuracy": accuracy}).metrics["accuracy"] == accuracy


@pytest.mark.parametrize(
    ("thresholds", "says"),
    [({"acuracy": 0.5}, "did you mean accuracy"), ({"precision": 0.5}, "precision can't be computed")],
)
def test_metric_that_does_not_exist_or_fit(thresholds: dict[str, float], says: str, tmp_path: Path) -> None:
    """An unknown metric, or one that this task does not have, is said before anything is written."""
    with pytest.raises(ConfigurationError, match=says):
        packed(tmp_path / "m", trained.many_classes(), trained.grades, thresholds=thresholds)


def test_regression(tmp_path: Path) -> None:
    """A regression has neither classes nor threshold, and its gate takes negative scorers."""
    minima = {"r2": 0.9, "neg_root_mean_squared_error": -100.0}
    manifest = packed(tmp_path / "m", trained.ridge(), lambda rows: rows[:, 2] * 3 + rows[:, 1], thresholds=minima)
    assert manifest.task == "regression"
    assert (manifest.classes, manifest.threshold) == ((), None)


def test_existing_bundle(tmp_path: Path) -> None:
    """An existing bundle is replaced only on request, and something else never."""
    packed(tmp_path / "m")
    with pytest.raises(ConfigurationError, match="already"):
        packed(tmp_path / "m", version="2.0.0")
    assert open_bundle(tmp_path / "m").manifest.version == "1.0.0"
    packed(tmp_path / "m", version="2.0.0", replace=True)
    assert open_bundle(tmp_path / "m").manifest.version == "2.0.0"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    with pytest.raises(ConfigurationError, match="is no bundle"):
        packed(tmp_path / "home", replace=True)
    assert names(tmp_path) == ["home", "m"]


def test_classifier_without_probabilities(tmp_path: Path) -> None:
    """A decision function is no probability; the way out is named."""
    with pytest.raises(ModelError, match="no probabilities") as caught:
        packed(tmp_path / "m", LinearSVC().fit(TRAIN, outcome(TRAIN)))
    assert "CalibratedClassifierCV" in str(caught.value.hint)


def test_several_targets(tmp_path: Path) -> None:
    """A model of several regression targets is refused."""
    model = LinearRegression().fit(TRAIN, TRAIN[:, :2])
    with pytest.raises(ModelError, match="shape"):
        packed(tmp_path / "m", model, lambda rows: rows[:, 0])


def test_neither_classifier_nor_regressor(tmp_path: Path) -> None:
    """An outlier detector is neither classifier nor regressor."""
    with pytest.raises(ModelError, match="neither"):
        packed(tmp_path / "m", IsolationForest(n_estimators=5).fit(TRAIN))


def test_model_that_can_not_be_pickled(tmp_path: Path) -> None:
    """A lambda in a pipeline is refused with the way out."""
    model = make_pipeline(FunctionTransformer(lambda rows: rows), LogisticRegression()).fit(TRAIN, outcome(TRAIN))
    with pytest.raises(ModelError, match="can't be pickled"):
        packed(tmp_path / "m", model)


def test_class_of_the_training_script(tmp_path: Path) -> None:
    """A class that only the training script has could not be unpickled by a worker."""
    own_class = type("Homemade", (trained.Moody,), {"__module__": "__main__"})
    with pytest.raises(ModelError, match="Homemade is defined in the training script"):
        packed(tmp_path / "m", own_class(), task="regression")


def test_columns_in_another_order_than_in_training(tmp_path: Path) -> None:
    """Features named in another order than X_test has them are found out by the model's own predictions."""
    table = pd.DataFrame(TEST, columns=list(NAMES))
    swapped = (trained.FEATURES[1], trained.FEATURES[0], *trained.FEATURES[2:])
    model = LogisticRegression(max_iter=1000).fit(TRAIN, outcome(TRAIN))
    with pytest.raises(ModelError, match="would not predict what the model does"):
        packed(tmp_path / "m", model, X_test=table[list(NAMES)].set_axis(table.columns, axis=1), features=swapped)


def test_features_are_those_of_the_training(tmp_path: Path) -> None:
    """Names that differ from the model's own, or whose number differs, are refused."""
    table = pd.DataFrame(TRAIN, columns=list(NAMES))
    by_name = LogisticRegression(max_iter=1000).fit(table, outcome(TRAIN))
    with pytest.raises(ConfigurationError, match="was fitted with the columns age"):
        packed(tmp_path / "m", by_name, features=list(reversed(NAMES)), schema=SCHEMA)
    with pytest.raises(ConfigurationError, match="takes 4 columns, the features make 3"):
        packed(tmp_path / "m", features=NAMES[:3], schema=SCHEMA)
    with pytest.raises(ConfigurationError, match="does not know the names"):
        packed(tmp_path / "m", features=None)


def test_numeric_pipeline_by_name_gets_frames(tmp_path: Path) -> None:
    """A pipeline that selects numbers by name can't take a matrix, and is given data frames by itself."""
    table = pd.DataFrame(TRAIN, columns=list(NAMES))
    model = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["age", "income"])]), LogisticRegression())
    model.fit(table, outcome(TRAIN))
    test = pd.DataFrame(TEST, columns=list(NAMES))
    assert packed(tmp_path / "m", model, X_test=test, features=None).input == "dataframe"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"positive_class": "2"}, "positive class 2"),
        ({"version": "one"}, "version"),
        ({"threshold": 2.0}, "threshold"),
        ({"y_test": np.full(300, 7)}, "does not know: 7"),
        ({"y_test": np.zeros(3)}, "300 test rows and 3 targets"),
        ({"X_test": TEST[:0], "y_test": []}, "no test rows"),
        ({"features": ["a b", "c", "d", "e"]}, "name of an Avro field"),
        ({"features": list(NAMES), "schema": SCHEMA}, "age holds values that are not of kind int"),
        ({"to_suffix": ".tar"}, "would be a folder"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    """What does not fit together is said in one line, and nothing is written."""
    to = tmp_path / f"m{options.pop('to_suffix', '')}"
    with pytest.raises(ConfigurationError, match=says):
        packed(to, **options)
    assert names(tmp_path) == []


def test_threads_are_given_back(tmp_path: Path) -> None:
    """Packing leaves a training script its threads."""
    before = [pool["num_threads"] for pool in threadpool_info()]
    packed(tmp_path / "m")
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_manifest_is_plain_json(tmp_path: Path) -> None:
    """The manifest can be read by anything that reads JSON."""
    packed(tmp_path / "m")
    values = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert values["features"][0] == {"name": "age", "kind": "double"}
    assert set(values["libraries"]) == {"python", "numpy", "scikit-learn", "joblib", "scipy"}
