"""The profile in the bundle: made of what the worker would say, pinned with the rest, and held against the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.drift import category, numeric, profile_of
from tests.unit.models.trained import NAMES, SCHEMA, TRAIN, columns, packed
from worker import models
from worker.avro.schema import parse_schema
from worker.columns import NumberColumn
from worker.drift.profile import LABEL, SCORE
from worker.errors import ConfigurationError, ModelError
from worker.models import TrainingRows, bind_profile, open_bundle
from worker.models.contents import read_contents
from worker.models.manifest import PROFILE
from worker.models.reference import milliseconds
from worker.models.samples import read_training


def test_a_bundle_has_its_profile(tmp_path: Path) -> None:
    """It is of the rows that were given and of what the worker says of them, and its sha256 stands in the manifest."""
    manifest = packed(tmp_path / "loans", profile=TrainingRows(TRAIN, np.arange(len(TRAIN)) * 1_000, 60))
    files = read_contents(tmp_path / "loans").files
    found = models.profile_of(files)
    assert found is not None
    profile, digest = found
    assert manifest.files[PROFILE] == digest
    assert [series.name for series in profile.series] == [*NAMES, SCORE, LABEL]
    assert (profile.records, profile.window_seconds) == (len(TRAIN), 60)
    predicted = models.BundlePredictor(open_bundle(tmp_path / "loans")).predict(columns(TRAIN))
    assert predicted.label is not None
    label = profile.series[-1]
    known = {
        predicted.classes.index(name): count for name, count in zip(label.categories, label.counts[2:], strict=True)
    }
    assert [known[0], known[1]] == np.bincount(predicted.label).tolist()


def test_further_columns(tmp_path: Path) -> None:
    """Columns that the model does not take are profiled where they are given."""
    given = columns(TRAIN).with_column("hour", NumberColumn(np.arange(len(TRAIN)) % 24))
    packed(tmp_path / "loans", profile=TrainingRows(given))
    found = models.profile_of(read_contents(tmp_path / "loans").files)
    assert found is not None
    assert [series.name for series in found[0].series] == [*NAMES, "hour", SCORE, LABEL]


def test_without(tmp_path: Path) -> None:
    """A bundle without one is a bundle."""
    packed(tmp_path / "loans")
    assert models.profile_of(read_contents(tmp_path / "loans").files) is None


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "series": 5}'])
def test_unreadable(text: str) -> None:
    """A profile that this version can't read is named, with the way out."""
    with pytest.raises(ModelError, match=PROFILE) as caught:
        models.profile_of({PROFILE: text.encode()})
    assert caught.value.hint


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (TrainingRows(TRAIN[:0]), "no training rows"),
        (TrainingRows(TRAIN, [1, 2]), "2 times"),
        (TrainingRows(TRAIN, window_seconds=0), "one second"),
        (TrainingRows(TRAIN, ["soon"] * len(TRAIN)), "can't be read"),
        (TrainingRows(TRAIN, [None] * len(TRAIN)), "have no time"),
        (TrainingRows(pd.DataFrame({"age": [1]})), "no column credit_score"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, given: TrainingRows, says: str) -> None:
    """What is wrong with the rows for the profile is said, and nothing is packed."""
    with pytest.raises(ConfigurationError, match=says):
        packed(tmp_path / "loans", profile=given)
    assert not (tmp_path / "loans").exists()


MILLISECONDS = 1_356_998_400_000


@pytest.mark.parametrize(
    "times",
    [
        [MILLISECONDS],
        np.array(["2013-01-01T00:00:00"], "datetime64[ns]"),
        pd.Series(pd.to_datetime(["2013-01-01T00:00:00"])),
        pd.Series(pd.to_datetime(["2013-01-01T01:00:00+01:00"])).dt.tz_convert("UTC").dt.tz_localize(None),
    ],
    ids=["integers", "datetime64", "pandas", "pandas in UTC"],
)
def test_times_of_scripts(times: Any) -> None:
    """What training scripts have for times is read as Unix milliseconds."""
    assert milliseconds(times).tolist() == [MILLISECONDS]


@pytest.mark.parametrize(
    "cell", ["2013-01-01", "2013-01-01T00:00:00Z", "2013-01-01 01:00+01:00", str(MILLISECONDS)], ids=str
)
def test_times_of_files(tmp_path: Path, cell: str) -> None:
    """ISO 8601 is UTC unless it says otherwise; a whole number is Unix milliseconds."""
    (tmp_path / "rows.csv").write_text(f"age,at\n30,{cell}\n")
    _, times = read_training(tmp_path / "rows.csv", [models.Feature(name="age", kind="double")], "at")  # type: ignore[arg-type]  # pydantic makes the kind of it
    assert times == [MILLISECONDS]


@pytest.mark.parametrize("cell", ["", "soon", "1.5"])
def test_times_that_are_none(tmp_path: Path, cell: str) -> None:
    """A row without a time that can be read is named."""
    (tmp_path / "rows.csv").write_text(f"age,at\n30,2013-01-01\n31,{cell}\n")
    with pytest.raises(ConfigurationError, match="row 2"):
        read_training(tmp_path / "rows.csv", [models.Feature(name="age", kind="double")], "at")  # type: ignore[arg-type]


def test_binding() -> None:
    """Every series that records of a schema can't feed is named."""
    profile = profile_of(
        *(numeric(name, 0.0, 1.0) for name in ("age", "debt_ratio", "region", "gone", "age[0]", SCORE)),
        *(category(name, "a") for name in ("region", "name", "income", LABEL)),
    )
    problems = bind_profile(profile, SCHEMA)
    assert [problem.split()[3] for problem in problems] == ["region", "gone", "age[0]", "income"]


def test_vectors_are_bound() -> None:
    """A series of a vector's item needs an array of numbers."""
    fields = [{"name": "e", "type": {"type": "array", "items": "float"}}]
    schema = parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields}))
    assert bind_profile(profile_of(numeric("e[0]", 0.0, 1.0)), schema) == ()
    assert len(bind_profile(profile_of(numeric("e", 0.0, 1.0), category("e[1]", "a")), schema)) == 2
