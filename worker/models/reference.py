"""The reference profile in a bundle: ``reference_profile.json``, named by its sha256."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.avro.schema import Field, Kind, RecordSchema
from worker.columns import Columns
from worker.drift.binning import item_of
from worker.drift.profile import LABEL, SCORE, ReferenceProfile
from worker.drift.reference import reference_of
from worker.errors import ConfigurationError, ModelError
from worker.models.manifest import PROFILE, Manifest, sha256
from worker.models.predictor import BundlePredictor
from worker.models.samples import columns_from
from worker.records import IntArray

_NUMBERS = frozenset({Kind.BOOLEAN, Kind.INT, Kind.LONG, Kind.FLOAT, Kind.DOUBLE})
_TEXTS = frozenset({Kind.STRING, Kind.ENUM})


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a profile is made of: rows (as ``X_test`` is given; further columns of ``Columns`` are profiled, too).

    ``times`` are when they happened: Unix milliseconds, or what numpy takes for ``datetime64`` in UTC.
    """

    rows: Any
    times: Any = None
    window_seconds: int = 3_600


def profile_rows(given: TrainingRows, predictor: BundlePredictor, manifest: Manifest) -> ReferenceProfile:
    """The profile of these rows and of what the model says of them. Raises ModelError and ConfigurationError."""
    if given.window_seconds < 1:
        raise ConfigurationError("a window is one second long at least")
    features = columns_from(given.rows, manifest.features)
    if not len(features):
        raise ConfigurationError("there are no training rows to make a profile of")
    times = None if given.times is None else milliseconds(given.times)
    if times is not None and len(times) != len(features):
        raise ConfigurationError(f"there are {len(features)} training rows and {len(times)} times")
    try:
        scores = predictor.predict(features)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model fails on the rows for the profile: {type(error).__name__}: {error}",
            hint="leave out the rows that it can't predict",
        ) from error
    columns = given.rows if isinstance(given.rows, Columns) else features
    positive = None if manifest.positive_class is None else manifest.classes.index(manifest.positive_class)
    return reference_of(columns, scores, times_ms=times, window_seconds=given.window_seconds, positive=positive)


def milliseconds(times: Any) -> IntArray:
    """Unix milliseconds, int64 (n,). Raises ConfigurationError for what are no times, or missing ones."""
    try:
        raw = np.asarray(times)
        if raw.dtype.kind in "iu":
            return raw.astype(np.int64)
        moments = raw.astype("datetime64[ms]")
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the training rows' times can't be read: {error}") from None
    if np.isnat(moments).any():
        raise ConfigurationError(f"{int(np.isnat(moments).sum())} training rows have no time")
    return moments.astype(np.int64)


def profile_of(files: Mapping[str, bytes]) -> tuple[ReferenceProfile, str] | None:
    """A bundle's profile and its digest, if it has one. Raises ModelError for one that can't be read."""
    content = files.get(PROFILE)
    if content is None:
        return None
    try:
        return ReferenceProfile.from_json(content.decode()), sha256(content)
    except ValueError as error:
        raise ModelError(
            f"{PROFILE} can't be read: {error}", hint="pack the model again with this version of prediction-worker"
        ) from None


def bind_profile(profile: ReferenceProfile, schema: RecordSchema) -> tuple[str, ...]:
    """Every reason why records of this schema can't be counted by this profile; empty when they can."""
    return tuple(_problems(profile, schema))


def _problems(profile: ReferenceProfile, schema: RecordSchema) -> Iterator[str]:
    for series in profile.series:
        if series.name in (SCORE, LABEL):
            continue
        name, item = item_of(series.name)
        field = schema.field(name)
        if field is None:
            yield f"the profile's series {series.name} is no field of schema {schema.name}"
        elif _kind(field, item) not in (_NUMBERS if series.kind == "numeric" else _TEXTS):
            yield f"the profile's series {series.name} is {series.kind}, schema {schema.name} has {field.kind}"


def _kind(field: Field, item: int | None) -> Kind | None:
    return field.kind if item is None else field.items
