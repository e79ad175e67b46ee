"""Vectors on their way to the model: from training rows, through the bundle, into the matrix or the data frame."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import fastavro
import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner, Result

from worker.avro.schema import Kind, RecordSchema, parse_schema
from worker.cli.model import app
from worker.columns import Column, Columns, NumberColumn, VectorColumn
from worker.errors import ConfigurationError
from worker.models import BundlePredictor, Feature, Manifest, bind, open_bundle, pack
from worker.models.binding import features_from
from worker.models.vectors import grouped

COLUMNS = ["amount", "e[0]", "e[1]", "e[2]", "n"]
VECTOR = {"type": "array", "items": "float"}
FEATURES = (
    Feature(name="amount", kind=Kind.DOUBLE),
    Feature(name="e", kind=Kind.FLOAT, length=3),
    Feature(name="n", kind=Kind.INT),
)


def schema_of(declared: Any = VECTOR, **words: Any) -> RecordSchema:
    fields = [
        {"name": "amount", "type": "double"},
        {"name": "e", "type": declared, **words},
        {"name": "n", "type": "int"},
    ]
    return parse_schema(json.dumps({"type": "record", "name": "Payment", "fields": fields}))


FIXED = schema_of(minItems=3, maxItems=3)


def rows_of(count: int, seed: int) -> npt.NDArray[np.float64]:
    """Shape (count, 5), the columns of ``COLUMNS``; halves, so that a float32 holds them."""
    rows: npt.NDArray[np.float64] = np.random.default_rng(seed).integers(-20, 20, (count, 5)) / 2
    rows[:, 4] = np.floor(rows[:, 4])
    return rows


def outcome(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return (rows[:, 0] + 2 * rows[:, 1] - rows[:, 2] + 3 * rows[:, 3] - rows[:, 4] > 0).astype(np.int64)


TRAIN, TEST = rows_of(400, 0), rows_of(120, 1)


def frame(rows: npt.NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": int})


def logistic() -> Any:
    return LogisticRegression(max_iter=500).fit(TRAIN, outcome(TRAIN))


def by_name() -> Any:
    """Selects a vector's columns by their names."""
    chosen = ColumnTransformer([("numbers", StandardScaler(), ["e[0]", "e[2]", "n", "e[1]", "amount"])])
    return make_pipeline(chosen, LogisticRegression(max_iter=500)).fit(frame(TRAIN), outcome(TRAIN))


def events(rows: npt.NDArray[np.float64]) -> Columns:
    """The rows as the worker's decoder gives them."""
    by_column: dict[str, Column] = {
        "n": NumberColumn(rows[:, 4].astype(np.int32)),
        "e": VectorColumn.of(rows[:, 1:4].tolist(), np.float32),
        "amount": NumberColumn(rows[:, 0].copy()),
    }
    return Columns(by_column, len(rows))


def packed(to: Path, model: Any, **options: Any) -> Manifest:
    given = {"name": "m", "version": "1.0.0", "schema": FIXED, "X_test": TEST, "y_test": outcome(TEST)}
    return pack(model, to=to, **{**given, **options})


def served(folder: Path) -> BundlePredictor:
    predictor = BundlePredictor(open_bundle(folder))
    predictor.check_golden()
    return predictor


@pytest.mark.parametrize(
    ("columns", "features"),
    [
        (COLUMNS, [("amount", None), ("e", 3), ("n", None)]),
        (["a.b[0]", "c[0]", "c[1]"], [("a.b", 1), ("c", 2)]),
        (["e[1]", "e[0]"], [("e[1]", None), ("e[0]", None)]),
        (["e[0]", "x", "e[1]"], [("e", 1), ("x", None), ("e[1]", None)]),
        (["e[00]", "[0]"], [("e[00]", None), ("[0]", None)]),
        ([], []),
    ],
)
def test_columns_make_vectors(columns: list[str], features: list[tuple[str, int | None]]) -> None:
    """Neighbours that count from 0 are one vector; nothing else is."""
    assert grouped(columns) == features


@pytest.mark.parametrize("names", [["amount", "e", "n"], COLUMNS])
def test_features_from_a_schema(names: list[str]) -> None:
    """A vector is named as the field, or by its columns."""
    assert features_from(FIXED, names) == FEATURES


@pytest.mark.parametrize(
    ("schema", "names", "says"),
    [
        (schema_of(), ["e"], "field e is an array of no fixed length: give it minItems and maxItems that are equal"),
        (schema_of(maxItems=3), ["e"], "no fixed length"),
        (FIXED, ["e[0]", "e[1]"], "feature e has 2 items, its field has minItems 3"),
        (FIXED, ["amount[0]"], "field amount is double, no array"),
    ],
)
def test_what_is_no_vector(schema: RecordSchema, names: list[str], says: str) -> None:
    """Where the length can't be known, or is another, the way out is named."""
    with pytest.raises(ConfigurationError, match=says.replace("[", r"\[")):
        features_from(schema, names)


@pytest.mark.parametrize(
    ("schema", "problems"),
    [
        (FIXED, ()),
        (schema_of(), ()),
        (schema_of(["null", {"type": "array", "items": "int"}], minItems=1, maxItems=9), ()),
        (schema_of(minItems=4), ("feature e has 3 items, its field has minItems 4",)),
        (schema_of(maxItems=2), ("feature e has 3 items, its field has maxItems 2",)),
        (schema_of("float"), ("feature e was trained as array of 3 float, schema Payment has float",)),
    ],
)
def test_binding(tmp_path: Path, schema: RecordSchema, problems: tuple[str, ...]) -> None:
    """A field feeds a vector when it is an array of such numbers and records of the vector's length keep its bounds."""
    assert bind(packed(tmp_path / "m", logistic(), features=FEATURES), schema) == problems


def test_a_vector_feeds_no_single_number(tmp_path: Path) -> None:
    """A feature of one number is not fed by an array, however short."""
    manifest = packed(tmp_path / "m", logistic(), features=FEATURES)
    scalar = manifest.model_copy(update={"features": (Feature(name="e", kind=Kind.DOUBLE),)})
    assert bind(scalar, FIXED) == ("feature e was trained as double, schema Payment has array of float",)


def test_lengths(tmp_path: Path) -> None:
    """The manifest says how long each vector is."""
    assert packed(tmp_path / "m", logistic(), features=FEATURES).lengths == {"e": 3}


@pytest.mark.parametrize("kind", [Kind.STRING, Kind.BOOLEAN, Kind.ENUM])
def test_vectors_are_of_numbers(kind: Kind) -> None:
    """A length goes with a number's kind only."""
    with pytest.raises(ValueError, match="holds numbers"):
        Feature(name="x", kind=kind, length=2)


def test_scalars_stand_in_the_manifest_as_ever() -> None:
    """A feature without a length does not speak of one: workers that know none read the manifest."""
    assert FEATURES[0].model_dump(mode="json") == {"name": "amount", "kind": "double"}
    assert FEATURES[1].model_dump(mode="json") == {"name": "e", "kind": "float", "length": 3}


@pytest.mark.parametrize("model", [logistic, by_name])
def test_served_as_trained(tmp_path: Path, model: Any) -> None:
    """Each item reaches the column it was trained as, in a matrix and in a data frame; alone and among others alike."""
    trained = model()
    options = {"X_test": frame(TEST)} if model is by_name else {"features": ["amount", "e", "n"]}
    manifest = packed(tmp_path / "m", trained, **options)
    assert manifest.features == FEATURES
    assert manifest.input == ("dataframe" if model is by_name else "matrix")
    predictor, batch = served(tmp_path / "m"), events(TEST)
    scores = predictor.predict(batch)
    own = trained.predict_proba(frame(TEST) if model is by_name else TEST)[:, 1]
    np.testing.assert_allclose(scores.score, own, atol=1e-9)
    alone = predictor.predict(batch.take(np.array([7])))
    assert alone.score.tobytes() == scores.score[7:8].tobytes()


def test_null_vector_is_nan(tmp_path: Path) -> None:
    """A null vector is NaN in each of its columns, in golden rows, too."""
    holes = TEST.copy()
    holes[::2, 1:4] = np.nan
    model = HistGradientBoostingClassifier(max_iter=5).fit(holes, outcome(TEST))
    packed(tmp_path / "m", model, X_test=holes, features=["amount", "e", "n"])
    batch = events(TEST[:2]).with_column("e", VectorColumn.of([None, TEST[1, 1:4].tolist()], np.float32))
    expected = model.predict_proba(holes[:2])[:, 1]
    np.testing.assert_allclose(served(tmp_path / "m").predict(batch).score, expected, atol=1e-9)
    golden = open_bundle(tmp_path / "m").golden.columns["e"].objects().tolist()
    assert golden[:2] == [None, TEST[1, 1:4].tolist()]


def test_kinds_without_a_schema(tmp_path: Path) -> None:
    """Without a schema a frame's columns say what a vector holds, and an array's are doubles."""
    model = LogisticRegression(max_iter=500).fit(frame(TRAIN), outcome(TRAIN))
    manifest = packed(tmp_path / "m", model, X_test=frame(TEST).astype({"e[1]": int}), schema=None)
    assert [feature.type for feature in manifest.features] == ["double", "array of 3 double", "long"]
    manifest = packed(tmp_path / "n", logistic(), schema=None, features=COLUMNS)
    assert [feature.type for feature in manifest.features] == ["double", "array of 3 double", "double"]


@pytest.fixture
def work(tmp_path: Path) -> Any:
    """A folder with a schema, a model that knows its columns, and test rows in both forms, entered."""
    (tmp_path / "payment.avsc").write_text(FIXED.text)
    joblib.dump(by_name(), tmp_path / "model.joblib")
    table = frame(TEST).assign(fraud=outcome(TEST))
    table.to_csv(tmp_path / "test.csv", index=False)
    fields = [*json.loads(FIXED.text)["fields"], {"name": "fraud", "type": "int"}]
    schema = fastavro.parse_schema({"type": "record", "name": "Row", "fields": fields})
    rows = [
        {"amount": row[0], "e": row[1:4], "n": int(row[4]), "fraud": target}
        for row, target in zip(TEST.tolist(), outcome(TEST).tolist(), strict=True)
    ]
    with (tmp_path / "test.avro").open("wb") as file:
        fastavro.writer(file, schema, rows)
    with (tmp_path / "short.avro").open("wb") as file:
        fastavro.writer(file, schema, [rows[0], {**rows[1], "e": [1.0, 2.0]}])
    table.drop(columns="e[1]").to_csv(tmp_path / "without.csv", index=False)
    table.assign(**{"e[2]": "seven"}).to_csv(tmp_path / "words.csv", index=False)
    with contextlib.chdir(tmp_path):
        yield tmp_path


def run(command: str) -> Result:
    return CliRunner().invoke(app, command.split())


def pack_from(data: str) -> Result:
    fixed = "pack model.joblib --to m --name m --version 1.0.0 --schema payment.avsc --target fraud"
    return run(f"{fixed} --test-data {data}")


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("data", ["test.csv", "test.avro"])
def test_pack_and_check(data: str) -> None:
    """A vector's test rows are columns of a CSV file or arrays of a container file; the bundle shows what it takes."""
    assert pack_from(data).exit_code == 0
    assert "feeds all of its 3 features" in run("check m --schema payment.avsc").output
    assert "array of 3 float" in run("show m").output


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("short.avro", "row 2 of the data: e has 2 items, the feature 3"),
        ("without.csv", "the data have no column e[1]"),
        ("words.csv", "row 1 of the data: e is not of kind float"),
    ],
)
def test_pack_says_what_does_not_fit(data: str, says: str) -> None:
    """Test rows of another length, or without all of the columns, are named."""
    refused = pack_from(data).exception
    assert isinstance(refused, ConfigurationError)
    assert says in refused.message


def test_check_says_that_the_length_differs(work: Path) -> None:
    """A schema whose arrays can't have the model's length does not feed it, and is told both lengths."""
    pack_from("test.csv")
    (work / "other.avsc").write_text(schema_of(minItems=4, maxItems=4).text)
    refused = run("check m --schema other.avsc").exception
    assert isinstance(refused, ConfigurationError)
    assert refused.problems == ("feature e has 3 items, its field has minItems 4",)
