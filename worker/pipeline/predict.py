"""Predict a batch; when the model raises, find the rows at fault and refuse only those.

Bisecting takes about 2·log2 n further calls for one poison row among n. When every row fails, the model is at fault,
not the records: telling the two apart must not rest on one row, so below ``BLAME_ROWS`` the golden rows decide.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from typing import NoReturn

import numpy as np

from worker.columns import FEW_ROWS, Columns, Scores
from worker.errors import ModelError
from worker.ports import Predictor
from worker.records import Cause, FloatArray, IntArray, Reason, Refusal, Refusals, Stage, value_class

BLAME_ROWS = 100
_HINT = "nothing was committed; mend the bundle or roll it back, then start again"


@value_class
class Prediction:
    """Scores of the batch rows ``rows``, and the refusals of the others."""

    scores: Scores
    rows: IntArray
    refusals: Refusals


def predict(predictor: Predictor, columns: Columns, rows: IntArray) -> Prediction | None:
    """Scores of columns whose row i is batch row ``rows[i]``; None when no row was left to predict.

    Raises ModelError when the model, and not its input, is at fault: every row failed, and there were at least
    ``BLAME_ROWS`` of them or the golden rows fail as well.
    """
    if not len(columns):
        return None
    parts, failures = _bisect(predictor, columns)
    if not parts:
        if len(failures) >= BLAME_ROWS or not predictor.is_sound():
            _blame_model(failures)
        return Prediction(_NOTHING, rows[:0], _raised(rows, failures))
    predicted = parts[0][0] if len(parts) == 1 else np.concatenate([indices for indices, _ in parts])
    scores = _joined([scores for _, scores in parts])
    refusals = _raised(rows, failures) if failures else Refusals.none()
    if len(predicted) == len(rows) and _all_finite(scores):
        return Prediction(scores, rows, refusals)
    finite = np.isfinite(scores.score)
    if scores.probabilities is not None:
        finite &= np.isfinite(scores.probabilities).all(axis=1)
    if not finite.all():
        if not finite.any() and (len(finite) >= BLAME_ROWS or not predictor.is_sound()):
            raise ModelError("the model's output is NaN or infinite for every row", hint=_HINT)
        cause = Cause(Stage.PREDICT, Reason.PREDICTION_NOT_FINITE, "the model's output is NaN or infinite")
        refusals = Refusals.joined([refusals, Refusals.alike(rows[predicted[~finite]], cause)])
        kept = np.flatnonzero(finite)
        scores, predicted = scores.take(kept), predicted[kept]
    return Prediction(scores, rows[predicted], refusals)


def _all_finite(scores: Scores) -> bool:
    chances = scores.probabilities
    if len(scores) > FEW_ROWS:
        return bool(np.isfinite(scores.score).all() and (chances is None or np.isfinite(chances).all()))
    return all(map(isfinite, chain(scores.score.tolist(), () if chances is None else chances.ravel().tolist())))


_NOTHING = Scores(np.empty(0, np.float64))


def _bisect(
    predictor: Predictor, columns: Columns
) -> tuple[list[tuple[IntArray, Scores]], list[tuple[int, Exception]]]:
    """Scores by stretches of rows, in order, and the single rows that the model raises on."""
    parts: list[tuple[IntArray, Scores]] = []
    failures: list[tuple[int, Exception]] = []
    pending = [np.arange(len(columns))]
    while pending:
        indices = pending.pop()
        try:
            part = columns if len(indices) == len(columns) else columns.take(indices)
            parts.append((indices, _checked(predictor.predict(part), part)))
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything; who is at fault is found by halving
            if len(indices) > 1:
                middle = len(indices) // 2
                pending += [indices[middle:], indices[:middle]]
                continue
            failures.append((int(indices[0]), error))
            if not parts and len(failures) == BLAME_ROWS and not predictor.is_sound():
                _blame_model(failures)  # no need to try the other thousands one by one
    return parts, failures


def _checked(scores: Scores, part: Columns) -> Scores:
    if len(scores) != len(part):
        raise ModelError(f"the model gave {len(scores)} scores for {len(part)} rows", hint=_HINT)
    return scores


def _blame_model(failures: list[tuple[int, Exception]]) -> NoReturn:
    cause = failures[0][1]
    raise ModelError(
        f"the model fails on every row ({len(failures)} of {len(failures)} raised {type(cause).__name__})",
        hint=_HINT,
    ) from cause


def _raised(rows: IntArray, failures: list[tuple[int, Exception]]) -> Refusals:
    return Refusals.of(
        Refusal(int(rows[i]), Stage.PREDICT, Reason.MODEL_RAISED, f"the model raised {type(error).__name__}")
        for i, error in failures
    )


def _joined(parts: list[Scores]) -> Scores:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    labels = [part.label for part in parts if part.label is not None]
    chances: list[FloatArray] = [part.probabilities for part in parts if part.probabilities is not None]
    return Scores(
        np.concatenate([part.score for part in parts]),
        first.classes,
        np.concatenate(labels) if labels else None,
        np.concatenate(chances) if chances else None,
    )
