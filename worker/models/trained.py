"""What a trained estimator says of itself, and why some can't be served."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.errors import ConfigurationError, ModelError
from worker.models.estimator import parts_of
from worker.models.manifest import Task


def check_model(model: Any) -> None:
    """Raises ModelError for a model whose pickle a worker couldn't read, or whose output isn't a probability."""
    if not hasattr(model, "predict"):
        raise ModelError(f"{type(model).__name__} has no predict method", hint="pack the fitted estimator itself")
    for part in parts_of(model):
        home = getattr(part, "__module__", None) if callable(part) else type(part).__module__
        if "__main__" in (home, type(part).__module__):
            raise ModelError(
                f"{getattr(part, '__name__', type(part).__name__)} is defined in the training script itself",
                hint="move it into a module that is installed beside the worker",
            )


def task_of(model: Any) -> Task:
    """Raises ModelError when the model says neither classifier nor regressor."""
    from sklearn.base import is_classifier, is_regressor  # noqa: PLC0415 - only to pack: a worker imports this, too

    if hasattr(model, "classes_") or hasattr(model, "predict_proba") or _is(is_classifier, model):
        return "binary" if len(classes_of(model)) == 2 else "multiclass"
    if _is(is_regressor, model):
        return "regression"
    raise ModelError(
        f"{type(model).__name__} is neither a classifier nor a regressor", hint="name its task, if it is one of them"
    )


def classes_of(model: Any) -> tuple[str, ...]:
    """The classes as text, in the order of the model's probabilities. Raises ModelError."""
    if not hasattr(model, "predict_proba"):
        raise ModelError(
            f"{type(model).__name__} gives no probabilities (what decision_function returns is none)",
            hint="wrap it: CalibratedClassifierCV(model), or SVC(probability=True)",
        )
    classes = getattr(model, "classes_", None)
    if classes is None:
        raise ConfigurationError("the model does not say its classes", hint="name them, in the order of predict_proba")
    if np.ndim(classes) != 1:
        raise ModelError("the model predicts several targets at once", hint="pack one model a target")
    names = tuple(str(name) for name in classes)
    if len(set(names)) != len(names):
        raise ModelError(f"classes can't be told apart as text: {', '.join(names)}")
    return names


def feature_names_of(model: Any) -> list[str] | None:
    """The columns that the model was fitted with, where it was fitted on a data frame."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _is(question: Any, model: Any) -> bool:
    try:
        return bool(question(model))
    except (AttributeError, TypeError):  # an object that never heard of scikit-learn's tags
        return False
