"""Bisecting: which rows are at fault, or whether the model is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.columns import Columns, NumberColumn, Scores
from worker.errors import ModelError
from worker.pipeline.predict import BLAME_ROWS, predict
from worker.records import Reason, Stage
from worker.testing import StubPredictor
from worker.testing.doubles import RowMask, squashed_sum


def columns(count: int) -> Columns:
    return Columns({"x": NumberColumn(np.arange(count, dtype=np.float64))}, count)


def rows(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Batch rows that are not column rows: 10, 12, 14, …"""
    return np.arange(count, dtype=np.int64) * 2 + 10


def at(*poison: int) -> RowMask:
    return lambda given: np.isin(given["x"].objects().astype(np.float64), poison)


def test_nothing() -> None:
    """With no rows left the model is not asked."""
    stub = StubPredictor()
    assert predict(stub, columns(0), rows(0)) is None
    assert stub.calls == []


def test_one_call() -> None:
    """Without a fault the whole batch is one call."""
    stub = StubPredictor()
    found = predict(stub, columns(50), rows(50))
    assert found is not None
    assert stub.calls == [50]
    assert found.rows.tolist() == rows(50).tolist()
    assert found.scores.score.tolist() == squashed_sum(columns(50)).tolist()


@given(st.integers(1, 600), st.data())
def test_only_the_poison(count: int, data: st.DataObject) -> None:
    """Exactly the rows that the model raises on are refused; the others keep their own scores, in order."""
    poison = data.draw(st.sets(st.integers(0, count - 1), max_size=min(count - 1, 8)))
    found = predict(StubPredictor(poison=at(*poison)), columns(count), rows(count))
    assert found is not None
    good = [i for i in range(count) if i not in poison]
    assert found.rows.tolist() == rows(count)[good].tolist()
    assert found.scores.score.tolist() == squashed_sum(columns(count))[good].tolist()
    assert len(found.scores.label if found.scores.label is not None else ()) == len(good)
    assert found.scores.probabilities is not None
    assert len(found.scores.probabilities) == len(good)
    assert sorted(r.row for r in found.refusals) == rows(count)[sorted(poison)].tolist()
    assert {(r.stage, r.reason) for r in found.refusals} <= {(Stage.PREDICT, Reason.MODEL_RAISED)}


@pytest.mark.parametrize("count", [2, 3, 100, 1_000, 4_096, 10_000])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_cost_of_one_poison_row(count: int, place: float) -> None:
    """One poison row costs at most 2·log2 n further calls."""
    stub = StubPredictor(poison=at(round(place * (count - 1))))
    predict(stub, columns(count), rows(count))
    assert len(stub.calls) - 1 <= 2 * math.ceil(math.log2(count))


def test_no_value_in_the_detail() -> None:
    """A refusal names the error's type, never its text, which may hold values."""
    found = predict(StubPredictor(poison=at(1)), columns(3), rows(3))
    assert found is not None
    assert found.refusals[0].detail == "the model raised ValueError"


def test_all_fail_unsound() -> None:
    """When all rows fail and the golden rows do, too, the model is at fault."""
    with pytest.raises(ModelError, match=r"fails on every row \(3 of 3 raised ValueError\)") as caught:
        predict(StubPredictor(fails_always=True, sound=False), columns(3), rows(3))
    assert caught.value.hint
    assert isinstance(caught.value.__cause__, ValueError)


def test_few_fail_sound() -> None:
    """A few rows that all fail, under a model whose golden rows are right, are at fault themselves."""
    found = predict(StubPredictor(fails_always=True), columns(3), rows(3))
    assert found is not None
    assert len(found.rows) == len(found.scores) == 0
    assert [r.row for r in found.refusals] == [10, 12, 14]


def test_many_fail_sound() -> None:
    """So many rows that all fail are the model's fault, whatever the golden rows say."""
    with pytest.raises(ModelError):
        predict(StubPredictor(fails_always=True), columns(BLAME_ROWS), rows(BLAME_ROWS))


def test_gives_up_early() -> None:
    """An unsound model is not tried on thousands of rows one by one."""
    stub = StubPredictor(fails_always=True, sound=False)
    with pytest.raises(ModelError):
        predict(stub, columns(8_192), rows(8_192))
    assert len(stub.calls) < 3 * BLAME_ROWS


def test_model_error_passes() -> None:
    """A ModelError of the predictor's own is not taken for a row's fault."""

    class Broken(StubPredictor):
        def predict(self, columns: Columns) -> Scores:
            raise ModelError("the shape is wrong")

    with pytest.raises(ModelError, match="shape"):
        predict(Broken(), columns(3), rows(3))


def test_not_finite() -> None:
    """A row whose score is NaN is refused alone."""
    found = predict(StubPredictor(not_finite=at(0, 2)), columns(4), rows(4))
    assert found is not None
    assert found.rows.tolist() == [12, 16]
    assert [(r.row, r.reason) for r in found.refusals] == [
        (10, Reason.PREDICTION_NOT_FINITE),
        (14, Reason.PREDICTION_NOT_FINITE),
    ]


def test_nan_and_poison_together() -> None:
    """Both faults in one batch: each row is refused for its own."""
    found = predict(StubPredictor(poison=at(1), not_finite=at(2)), columns(4), rows(4))
    assert found is not None
    assert found.rows.tolist() == [10, 16]
    assert {r.row: r.reason for r in found.refusals} == {
        12: Reason.MODEL_RAISED,
        14: Reason.PREDICTION_NOT_FINITE,
    }


def test_all_nan() -> None:
    """A model that says NaN throughout is at fault."""
    with pytest.raises(ModelError, match="NaN or infinite for every row"):
        predict(StubPredictor(not_finite=lambda c: np.ones(len(c), np.bool_)), columns(BLAME_ROWS), rows(BLAME_ROWS))


def test_few_nan_unsound() -> None:
    """A few rows that are all NaN: the golden rows decide, as they do for a model that raises."""
    unsound = StubPredictor(not_finite=lambda c: np.ones(len(c), np.bool_), sound=False)
    with pytest.raises(ModelError):
        predict(unsound, columns(3), rows(3))


def test_wrong_number_of_scores() -> None:
    """A model with an answer too few is at fault; nothing of the batch may be delivered."""
    with pytest.raises(ModelError):
        predict(StubPredictor(missing_rows=1), columns(5), rows(5))


class Regression(StubPredictor):
    """Scores alone, without classes."""

    def predict(self, columns: Columns) -> Scores:
        return Scores(super().predict(columns).score)


def test_without_classes() -> None:
    """A regression has no labels and no probabilities, bisected or not."""
    for stub in (Regression(), Regression(poison=at(1)), Regression(not_finite=at(1))):
        found = predict(stub, columns(4), rows(4))
        assert found is not None
        assert found.scores.label is None
        assert found.scores.probabilities is None
