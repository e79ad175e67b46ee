"""Make a bundle of a trained model, or refuse to.

The model is pickled, unpickled and asked the way the worker will ask it; the gate, the golden rows and the check against
the caller's own predictions all use that copy. What passed is opened once more from disk before it gets its name.
"""

from __future__ import annotations

import io
import pickle
import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from worker.avro.schema import RecordSchema
from worker.columns import Columns, Scores
from worker.errors import ConfigurationError, ModelError
from worker.models.binding import features_from
from worker.models.bundle import Bundle, installed_libraries, load_model, open_bundle
from worker.models.golden import MAX_GOLDEN_ROWS, TOLERANCE, Golden, write_golden
from worker.models.manifest import (
    GOLDEN,
    MANIFEST,
    PROFILE,
    QUALITY,
    Feature,
    Format,
    Input,
    Lineage,
    Manifest,
    Task,
    sha256,
)
from worker.models.predictor import BundlePredictor
from worker.models.quality import held_out_quality
from worker.models.reference import TrainingRows, profile_rows
from worker.models.samples import columns_from, kinds_of
from worker.models.trained import check_model, classes_of, feature_names_of, task_of


def pack(
    model: Any,
    *,
    to: Path,
    name: str,
    version: str,
    X_test: Any,  # noqa: N803 - scikit-learn's name
    y_test: Any,
    features: Sequence[Feature | str] | None = None,
    schema: RecordSchema | None = None,
    task: Task | Literal["auto"] = "auto",
    classes: Sequence[str] | None = None,
    positive_class: object = None,
    threshold: float = 0.5,
    input: Input | Literal["auto"] = "auto",  # noqa: A002 - the manifest's word
    format: Format = "joblib",  # noqa: A002 - the manifest's word
    thresholds: Mapping[str, float] | None = None,
    training_data_digest: str | None = None,
    code_revision: str | None = None,
    parent_version: str | None = None,
    created_at: datetime | None = None,
    further_files: Mapping[str, bytes] | None = None,
    profile: TrainingRows | None = None,
    replace: bool = False,
) -> Manifest:
    """Write the bundle folder ``to`` and return its manifest.

    ``features`` default to the column names that the model was fitted with; their kinds come from ``schema``, or else
    from the dtypes of ``X_test``. ``X_test`` is a data frame, an array or ``Columns``; its first 100 rows become the golden
    ones, so they travel with the bundle. ``thresholds`` are minima of scikit-learn scorers. ``positive_class`` defaults to
    the last class. ``profile``: the training rows that live ones are to be compared with.

    Raises ModelError when the model can't be served or misses a threshold, ConfigurationError for arguments that
    don't fit together; then nothing is left behind.
    """
    # Scorers bring most of scikit-learn with them: a worker that serves imports this module, and needs none.
    from worker.models.gate import check_names, encoded, measure, pass_gate  # noqa: PLC0415 - see above

    minima = dict(thresholds or {})
    check_names(list(minima))
    _check_target(to, replace=replace)
    check_model(model)
    chosen_task = task_of(model) if task == "auto" else task
    chosen_features = _features(model, features, schema, X_test)
    columns = columns_from(X_test, chosen_features)
    _check_rows(columns, y_test)
    all_classes = () if chosen_task == "regression" else tuple(classes or classes_of(model))
    content = _dumped(model, format)
    draft = _manifest(
        name=name,
        version=version,
        task=chosen_task,
        format=format,
        input=_input(chosen_features) if input == "auto" else input,
        model_file=f"model.{format}",
        files={f"model.{format}": sha256(content), GOLDEN: sha256(b"")},
        features=chosen_features,
        classes=all_classes,
        positive_class=_positive(all_classes, positive_class) if chosen_task == "binary" else None,
        threshold=threshold if chosen_task == "binary" else None,
        lineage=Lineage(
            created_at=created_at or datetime.now(UTC),
            training_data_digest=training_data_digest,
            code_revision=code_revision,
            parent_version=parent_version,
        ),
        libraries=installed_libraries(),
    )
    with threadpool_limits(limits=1):  # gives a training script its threads back afterwards
        draft, scores = _served(draft, content, columns, automatic=input == "auto")
        if not isinstance(X_test, Columns):
            _check_same(model, X_test, scores, draft)
        truth = encoded(y_test, draft)
        metrics = measure(scores, truth, draft, list(minima))
        pass_gate(metrics, minima)
        rows = np.arange(min(len(columns), MAX_GOLDEN_ROWS))
        golden = write_golden(columns.take(rows), scores.take(rows), chosen_features)
        quality = held_out_quality(scores, truth, draft).to_json().encode() + b"\n"
        files = {draft.model_file: content, GOLDEN: golden, QUALITY: quality, **(further_files or {})}
        if profile is not None:
            reference = profile_rows(profile, _predictor(draft, content, columns), draft)
            files[PROFILE] = reference.to_json().encode() + b"\n"
        digests = {file: sha256(bytes_) for file, bytes_ in files.items()}
        manifest = _manifest(**{**dict(draft), "files": digests, "metrics": metrics, "thresholds": minima})
        _write(to, {**files, MANIFEST: manifest.to_json()}, replace=replace)
    return manifest


def _served(draft: Manifest, content: bytes, columns: Columns, *, automatic: bool) -> tuple[Manifest, Scores]:
    """The worker's own predictions; a model that can't take a matrix is given data frames, if that was left open."""
    try:
        return draft, _predictor(draft, content, columns).predict(columns)
    except ModelError:
        raise
    except Exception as error:
        if not automatic or draft.input == "dataframe":
            raise ModelError(
                f"the model fails on the test rows as the worker would pass them ({draft.input}): "
                f"{type(error).__name__}: {error}",
                hint="pass the other kind of input, or fill missing values within the model (a Pipeline)",
            ) from error
    return _served(draft.model_copy(update={"input": "dataframe"}), content, columns, automatic=False)


def _predictor(draft: Manifest, content: bytes, columns: Columns) -> BundlePredictor:
    copy, _ = load_model(content, draft.format)
    nothing_expected = Golden(columns, Scores(np.empty(0)))
    return BundlePredictor(Bundle(draft, "", copy, nothing_expected, {}, ()))


def _check_same(model: Any, X: Any, scores: Scores, draft: Manifest) -> None:  # noqa: N803 - scikit-learn's name
    """The caller's model on the caller's rows says what the worker will say: no column was mixed up on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = model.predict_proba(X) if draft.classes else np.ravel(model.predict(X))
    served = scores.score if scores.probabilities is None else scores.probabilities
    if not np.allclose(own, served, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        raise ModelError(
            f"the worker would not predict what the model does on X_test (passing a {draft.input})",
            hint="features must be in the order of training; for data frames, missing text must be NaN, not None",
        )


def _features(
    model: Any,
    given: Sequence[Feature | str] | None,
    schema: RecordSchema | None,
    X: Any,  # noqa: N803 - scikit-learn's name
) -> tuple[Feature, ...]:
    fitted = feature_names_of(model)
    if given is None and fitted is None:
        raise ConfigurationError(
            "the model does not know the names of its columns", hint="name the features, in the order of training"
        )
    chosen = _chosen(fitted or () if given is None else given, schema, X)
    names = [column for feature in chosen for column in feature.columns]
    if fitted is not None and names != fitted:
        raise ConfigurationError(
            f"the model was fitted with the columns {', '.join(fitted)}; the features are {', '.join(names)}",
            hint="name the same features in the same order, or leave them out",
        )
    count = getattr(model, "n_features_in_", len(names))
    if count != len(names):
        raise ConfigurationError(f"the model takes {count} columns, the features make {len(names)}")
    return chosen


def _chosen(given: Sequence[Feature | str], schema: RecordSchema | None, X: Any) -> tuple[Feature, ...]:  # noqa: N803 - scikit-learn's name
    if all(isinstance(item, Feature) for item in given):
        return tuple(item for item in given if isinstance(item, Feature))
    names = [name for item in given for name in ((item,) if isinstance(item, str) else item.columns)]
    try:
        return features_from(schema, names) if schema is not None else kinds_of(X, names)
    except ValidationError:
        raise ConfigurationError(
            f"not every feature could be the name of an Avro field: {', '.join(names)}",
            hint="train with the names of the schema's fields",
        ) from None


def _input(features: Sequence[Feature]) -> Input:
    return "dataframe" if any(feature.kind.is_text for feature in features) else "matrix"


def _positive(classes: Sequence[str], given: object) -> str:
    positive = classes[-1] if given is None else str(given)
    if positive not in classes:
        raise ConfigurationError(f"the positive class {positive} is none of the model's: {', '.join(classes)}")
    return positive


def _manifest(**values: Any) -> Manifest:
    try:
        return Manifest(**values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}".lstrip(": ") for item in error.errors()]
        raise ConfigurationError(problems) from None


def _dumped(model: Any, format: Format) -> bytes:  # noqa: A002 - the manifest's word
    out = io.BytesIO()
    try:
        if format == "joblib":
            joblib.dump(model, out)
        else:
            pickle.dump(model, out, protocol=5)
    except Exception as error:
        raise ModelError(
            f"the model can't be pickled: {error}", hint="use functions of an importable module, not lambdas"
        ) from error
    return out.getvalue()


def _check_rows(columns: Columns, y_test: Any) -> None:
    if not len(columns):
        raise ConfigurationError("there are no test rows", hint="the gate and the golden rows need some")
    if len(columns) != len(y_test):
        raise ConfigurationError(f"there are {len(columns)} test rows and {len(y_test)} targets")


def _check_target(to: Path, *, replace: bool) -> None:
    if to.suffix == ".tar":
        raise ConfigurationError(f"{to} would be a folder", hint="pack a folder, then tar -cf NAME.tar -C FOLDER .")
    if not to.exists():
        return
    if not (to / MANIFEST).is_file() and (not to.is_dir() or any(to.iterdir())):
        raise ConfigurationError(f"{to} exists and is no bundle", hint="choose another place")
    if not replace and (to / MANIFEST).is_file():
        raise ConfigurationError(f"there is a bundle in {to} already", hint="choose another folder, or replace it")


def _write(to: Path, files: Mapping[str, bytes], *, replace: bool) -> None:
    """All or nothing: the folder gets its name when it is complete and has been opened as a worker would."""
    token = uuid.uuid4().hex
    made, old = to.parent / f".{to.name}.{token}.new", to.parent / f".{to.name}.{token}.old"
    try:
        made.mkdir(parents=True)
        for file, content in files.items():
            (made / file).write_bytes(content)
        BundlePredictor(open_bundle(made, digest=sha256(files[MANIFEST]))).check_golden()
        _check_target(to, replace=replace)
        if to.exists():
            to.rename(old)
        made.rename(to)
    except OSError as error:
        raise ConfigurationError(f"the bundle can't be written to {to}: {error.strerror or error}") from error
    finally:
        if not to.exists() and old.exists():
            old.rename(to)
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
