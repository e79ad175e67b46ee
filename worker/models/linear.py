"""The arithmetic of a logistic regression, without what scikit-learn asks about its input on every call.

Of the 260 µs that a pipeline of imputer, scaler and regression takes for a few rows, the arithmetic is a tenth. What is
computed here is the same, operation by operation; ``BundlePredictor`` compares the bits before it relies on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, nan
from typing import Any

import numpy as np

from worker.records import FloatArray

_REGRESSION = "sklearn.linear_model._logistic.LogisticRegression"
_SCALER = "sklearn.preprocessing._data.StandardScaler"
_IMPUTER = "sklearn.impute._base.SimpleImputer"
_PIPELINE = "sklearn.pipeline.Pipeline"


@dataclass(frozen=True, slots=True)
class BinaryLogistic:
    """Imputer and scaler, either or neither, before a regression of two classes; ``None``: no such step.

    ``steps``: of each feature what replaces NaN, the mean and the scale; where there is no such step, what changes nothing.
    """

    fill: FloatArray | None
    mean: FloatArray | None
    scale: FloatArray | None
    coefficients: FloatArray
    intercept: FloatArray
    expit: Any
    steps: tuple[tuple[float, float, float], ...]

    @staticmethod
    def of(model: Any) -> BinaryLogistic | None:
        """None for a model that is anything else."""
        steps = [step for _, step in model.steps] if _name(model) == _PIPELINE else [model]
        names = [_name(step) for step in steps]
        known = dict(zip(names, steps, strict=True))
        if names != [name for name in (_IMPUTER, _SCALER, _REGRESSION) if name in known] or _REGRESSION not in known:
            return None
        imputer, scaler, regression = known.get(_IMPUTER), known.get(_SCALER), known[_REGRESSION]
        if len(regression.classes_) != 2 or (imputer is not None and not _fills_all(imputer)):
            return None
        from scipy.special import expit  # noqa: PLC0415 - loaded by the regression's own module, and by no other model's

        fill = imputer.statistics_ if imputer else None
        mean = scaler.mean_ if scaler and scaler.with_mean else None
        scale = scaler.scale_ if scaler and scaler.with_std else None
        width = regression.coef_.shape[1]
        by_feature = zip(
            [nan] * width if fill is None else fill.tolist(),
            [0.0] * width if mean is None else mean.tolist(),
            [1.0] * width if scale is None else scale.tolist(),
            strict=True,
        )
        found = BinaryLogistic(fill, mean, scale, regression.coef_, regression.intercept_, expit, tuple(by_feature))
        return found if found._is_plain() else None

    def probabilities(self, matrix: FloatArray) -> FloatArray | None:
        """float64 (rows, 2), as the model's ``predict_proba``; None where the model should be asked itself.

        That is where it may have to refuse: for infinity, and for NaN that nobody fills. NaN may be filled in
        ``matrix``, which changes nothing for the model.
        """
        if self.fill is not None:
            np.copyto(matrix, self.fill, where=np.isnan(matrix))
        if self.mean is not None:
            matrix = matrix - self.mean
        if self.scale is not None:
            matrix = matrix / self.scale
        if not np.isfinite(matrix.sum()):
            return None
        both = np.empty((len(matrix), 2))
        both[:, 1] = self.expit((matrix @ self.coefficients.T + self.intercept)[:, 0])
        np.subtract(1, both[:, 1], out=both[:, 0])
        return both

    def few(self, rows: Sequence[Sequence[float | None]], padded: int) -> FloatArray | None:
        """As ``probabilities``, of few rows (None for NaN) in a matrix of ``padded`` rows.

        Number by number up to the product, which gives the same bits: arrays cost more than what stands in them.
        """
        scaled = [
            [
                ((fill if value is None or value != value else value) - mean) / scale  # noqa: PLR0124 - NaN
                for value, (fill, mean, scale) in zip(row, self.steps, strict=True)
            ]
            for row in rows
        ]
        if not all(map(isfinite, chain.from_iterable(scaled))):
            return None
        matrix = np.empty((padded, len(self.steps)))
        matrix[: len(rows)] = scaled
        matrix[len(rows) :] = scaled[-1]
        decisions = (matrix @ self.coefficients.T)[: len(rows), 0] + self.intercept
        return np.array([(1 - chance, chance) for chance in self.expit(decisions).tolist()])

    def _is_plain(self) -> bool:
        parts = (self.fill, self.mean, self.scale, self.coefficients, self.intercept)
        if self.scale is not None and not self.scale.all():
            return False
        return all(part is None or (part.dtype == np.float64 and bool(np.isfinite(part).all())) for part in parts)


def _name(part: Any) -> str:
    """Without an import of what it names: a model of other libraries needs none of these classes."""
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _fills_all(imputer: Any) -> bool:
    """Whether NaN is what is missing, and nothing but it is replaced."""
    missing = imputer.missing_values
    return isinstance(missing, float) and missing != missing and not imputer.add_indicator  # noqa: PLR0124 - NaN
