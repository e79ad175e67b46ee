"""The validation gate: a model that misses its thresholds is not packed.

What is measured are the predictions that the worker would publish (its threshold, its one thread, its padding), not
what the estimator does elsewhere.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names

from worker.columns import Scores
from worker.errors import ConfigurationError, ModelError
from worker.models.manifest import Manifest
from worker.quality.scoring import spellings

_SHOWN: Mapping[str, tuple[str, ...]] = {
    "binary": ("accuracy", "precision", "recall", "roc_auc"),
    "multiclass": ("accuracy", "f1_macro"),
    "regression": ("r2", "neg_mean_absolute_error"),
}


def measure(scores: Scores, truth: npt.NDArray[Any], manifest: Manifest, names: Sequence[str]) -> dict[str, float]:
    """The named scikit-learn scorers, and the task's usual ones, of served predictions; greater is better in each.

    ``truth`` is what ``encoded`` returns. Raises ConfigurationError for a metric that is unknown or can't be computed.
    """
    check_names(names)
    served = _Regression(scores) if manifest.task == "regression" else _Classification(scores, manifest)
    values = {name: _score(name, served, truth) for name in names}
    for name in _SHOWN[manifest.task]:
        try:
            values.setdefault(name, _score(name, served, truth))
        except ConfigurationError:
            continue  # nobody asked for it: one class alone among the test rows has no ROC curve
    return {name: value for name, value in values.items() if math.isfinite(value) or name in names}


def check_names(names: Sequence[str]) -> None:
    """Raises ConfigurationError for names that scikit-learn has no scorer for."""
    known = get_scorer_names()
    problems = []
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            problems.append(
                f"{name} is no scikit-learn scorer" + (f"; did you mean {' or '.join(close)}?" if close else "")
            )
    if problems:
        raise ConfigurationError(problems, hint="sklearn.metrics.get_scorer_names() lists them")


def pass_gate(metrics: Mapping[str, float], thresholds: Mapping[str, float]) -> None:
    """Raises ModelError naming every metric below its minimum."""
    failed = [
        f"{name} is {metrics[name]:.6g}, the minimum is {minimum:g}"
        for name, minimum in thresholds.items()
        if not metrics[name] >= minimum  # so that NaN fails
    ]
    if failed:
        raise ModelError(
            f"the model does not pass its gate: {'; '.join(failed)}", hint="nothing was packed; train a better model"
        )


def encoded(truth: Sequence[Any] | npt.NDArray[Any], manifest: Manifest) -> npt.NDArray[Any]:
    """Test targets as the metrics take them: 1 for the positive class, indices into ``classes``, or values.

    Raises ConfigurationError for a target that is none of the classes, or no number in a regression.
    """
    if manifest.task == "regression":
        try:
            values = np.asarray(truth, np.float64)
        except (TypeError, ValueError):
            raise ConfigurationError("the target of a regression must be numbers") from None
        if not np.isfinite(values).all():
            raise ConfigurationError("the target holds values that are not finite")
        return values
    by_name = spellings(manifest.classes)
    unknown = sorted({str(value) for value in truth if str(value) not in by_name})
    if unknown:
        raise ConfigurationError(
            f"the test rows have targets that the model does not know: {', '.join(unknown[:10])}",
            hint=f"its classes are {', '.join(manifest.classes)}",
        )
    indices: npt.NDArray[np.int64] = np.array([by_name[str(value)] for value in truth], np.int64)
    if manifest.positive_class is None:
        return indices
    positive = manifest.classes.index(manifest.positive_class)
    return np.where(indices == positive, 1, 0)


def _score(name: str, served: Any, truth: npt.NDArray[Any]) -> float:
    rows = np.empty((len(truth), 0))  # the predictions are made already
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as a precision without predicted positives: its value, 0, says it
        try:
            return float(get_scorer(name)(served, rows, truth))
        except Exception as error:
            raise ConfigurationError(
                f"{name} can't be computed for this model and its test rows: {error}",
                hint="choose another metric; for several classes, one that ends in _macro or _weighted",
            ) from error


class _Classification(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Served predictions in the shape that scorers ask: class 1 is the positive one, else indices into the classes."""

    def __init__(self, scores: Scores, manifest: Manifest) -> None:
        label, probabilities = scores.label, scores.probabilities
        assert label is not None
        assert probabilities is not None
        if manifest.positive_class is not None:
            positive = manifest.classes.index(manifest.positive_class)
            label = (label == positive).astype(np.int64)
            probabilities = probabilities[:, [1 - positive, positive]]
        self.classes_ = np.arange(len(manifest.classes))
        self._label = label
        self._probabilities = probabilities

    def predict(self, _rows: object) -> npt.NDArray[Any]:
        return self._label

    def predict_proba(self, _rows: object) -> npt.NDArray[Any]:
        return self._probabilities


class _Regression(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    def __init__(self, scores: Scores) -> None:
        self._score = scores.score

    def predict(self, _rows: object) -> npt.NDArray[Any]:
        return self._score
