from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.models.trained import FEATURES, SCHEMA, packed
from worker.avro.schema import Kind
from worker.errors import ConfigurationError
from worker.models import Feature, Manifest, bind
from worker.models.binding import FEEDS, features_from


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    path: Path = tmp_path_factory.mktemp("bundle") / "loans"
    return packed(path)


def with_features(manifest: Manifest, *features: tuple[str, Kind]) -> Manifest:
    chosen = tuple(Feature(name=name, kind=kind) for name, kind in features)
    return manifest.model_copy(update={"features": chosen})


def test_fits(manifest: Manifest) -> None:
    """Double features are fed by integer fields, nullable ones and doubles."""
    assert bind(manifest, SCHEMA) == ()


def test_every_difference_is_named(manifest: Manifest) -> None:
    """All missing and retyped features are listed, with the fields that may have been meant."""
    other = with_features(
        manifest,
        ("credit_scor", Kind.DOUBLE),
        ("age", Kind.DOUBLE),
        ("name", Kind.DOUBLE),
        ("income", Kind.LONG),
        ("photo", Kind.STRING),
        ("zzz", Kind.INT),
    )
    assert bind(other, SCHEMA) == (
        "feature credit_scor is no field of schema bank.Applicant; did you mean credit_score?",
        "feature name was trained as double, schema bank.Applicant has string",
        "feature income was trained as long, schema bank.Applicant has double",
        "feature photo was trained as string, schema bank.Applicant has bytes",
        "feature zzz is no field of schema bank.Applicant",
    )


@pytest.mark.parametrize(
    ("feature", "feeds"),
    [
        (Kind.BOOLEAN, {Kind.BOOLEAN}),
        (Kind.INT, {Kind.BOOLEAN, Kind.INT}),
        (Kind.LONG, {Kind.BOOLEAN, Kind.INT, Kind.LONG}),
        (Kind.FLOAT, {Kind.BOOLEAN, Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DOUBLE}),
        (Kind.DOUBLE, {Kind.BOOLEAN, Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DOUBLE}),
        (Kind.STRING, {Kind.STRING, Kind.ENUM}),
        (Kind.ENUM, {Kind.ENUM}),
    ],
)
def test_which_kind_feeds_which(feature: Kind, feeds: set[Kind]) -> None:
    """A field feeds a feature when each of its values could have stood in the training data."""
    assert FEEDS[feature] == feeds


def test_features_from_a_schema() -> None:
    """Named fields become features with the schema's kinds; every name that can't is reported."""
    assert [feature.kind for feature in features_from(SCHEMA, ["age", "region"])] == [Kind.INT, Kind.ENUM]
    with pytest.raises(ConfigurationError) as caught:
        features_from(SCHEMA, ["agee", "income", "photo"])
    assert len(caught.value.problems) == 2


def test_bytes_are_no_feature() -> None:
    """Bytes can't be a feature."""
    with pytest.raises(ValueError, match="can't be a feature"):
        Feature(name="photo", kind=Kind.BYTES)


def test_features_of_the_fixture() -> None:
    """The fixture's features are fields of its schema."""
    assert all(SCHEMA.field(feature.name) for feature in FEATURES)
