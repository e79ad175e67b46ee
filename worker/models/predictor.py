"""``Predictor`` over a bundle: columns in, scores out, and the same bits for a row whatever batch it comes in.

Matrix products are summed in another order when their shape is another: by the number of rows modulo the kernel's
width, and again beyond a size where BLAS changes its kernel (measured, see ADR 0004). So every call to the model has a
multiple of 64 rows; and when the golden rows show that this is not enough for this model, every call has exactly
``BLOCK_ROWS``. A logistic regression is computed here, where that is seen to give the bits that the model gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.columns import FEW_ROWS, Column, Columns, NumberColumn, Scores, TextColumn, VectorColumn
from worker.errors import ModelError
from worker.models.bundle import Bundle
from worker.models.estimator import OneThread, forget_column_names, use_one_job
from worker.models.linear import BinaryLogistic
from worker.models.without_pandas import without_pandas
from worker.records import FloatArray, IntArray

PAD_ROWS = 64
BLOCK_ROWS = 512
MAX_CALL_ROWS = 8192
_ALONE_ROWS = 1024


class BundlePredictor:
    """Implements ``ports.Predictor``. The bundle's model is changed in place: it is this predictor's from now on.

    Call ``check_golden`` before the first real batch. A model may raise whatever it likes on a row; ``ModelError`` means
    that the model itself is wrong.
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self._manifest = manifest
        self._golden = bundle.golden
        self._model = bundle.model
        self._width = sum(len(feature.columns) for feature in manifest.features)
        self._names = tuple(feature.name for feature in manifest.features)
        self._is_flat = all(feature.length is None for feature in manifest.features)
        self._positive = manifest.classes.index(manifest.positive_class) if manifest.positive_class is not None else 0
        self._frame: Any = _data_frame() if manifest.input == "dataframe" else None
        self._pad_rows = self._call_rows = BLOCK_ROWS
        self._logistic: BinaryLogistic | None = None
        self._one_thread = OneThread()
        use_one_job(self._model)
        if manifest.input == "matrix":
            forget_column_names(self._model)

    def predict(self, columns: Columns) -> Scores:
        """Scores of all rows, in order. NaN stands where the model says NaN."""
        self._one_thread.hold()
        rows = len(columns)
        padded = -(-rows // self._pad_rows) * self._pad_rows
        if self._logistic is not None and self._is_flat and 0 < rows <= FEW_ROWS:
            found = self._logistic.few(self._rows(columns), padded)
            if found is not None:
                return self._scores(found)
        table = self._matrix(columns, padded) if self._frame is None else self._data_frame(columns, padded)
        outputs = [self._call(table[i : i + self._call_rows]) for i in range(0, padded, self._call_rows)]
        if not outputs:
            return self._scores(np.empty((0, len(self._manifest.classes)) if self._manifest.classes else 0))
        return self._scores((outputs[0] if len(outputs) == 1 else np.concatenate(outputs))[:rows])

    def check_golden(self) -> None:
        """Warm the model up, see that it predicts what it did when it was packed, and that batches don't matter.

        Raises ModelError.
        """
        logistic = BinaryLogistic.of(self._model) if self._frame is None else None
        try:
            # Of what is known to be scikit-learn's alone, the imputer would load pandas to compare with its NA.
            with nullcontext() if logistic is None else without_pandas():
                self.predict(self._golden.columns)
                self._one_thread.renew()
                probe = self._mixed(MAX_CALL_ROWS)
                self._choose_rows(probe)
                self._choose_arithmetic(probe, logistic)
            difference = self._golden.difference(self.predict(self._golden.columns))
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model fails on its golden rows: {type(error).__name__}: {error}", hint=_GOLDEN_HINT
            ) from error
        if difference is not None:
            raise ModelError(f"the model does not predict as packed: {difference}", hint=_GOLDEN_HINT)
        self._check_alone()

    def is_sound(self) -> bool:
        """Whether the golden rows still have their predictions."""
        try:
            return self._golden.difference(self.predict(self._golden.columns)) is None
        except Exception:  # noqa: BLE001 - raising on a golden row is the answer: not sound
            return False

    def _matrix(self, columns: Columns, padded: int) -> FloatArray:
        """float64 of shape (padded, columns), C order, null as NaN; a vector is as many columns as it has items.

        The last row is repeated.
        """
        rows, at = len(columns), 0
        matrix = np.empty((padded, self._width))
        if 0 < rows <= FEW_ROWS and self._is_flat:
            matrix[:rows] = [[nan if value is None else value for value in row] for row in self._rows(columns)]
            matrix[rows:] = matrix[rows - 1]
            return matrix
        for feature in self._manifest.features:
            if feature.length is None:
                matrix[:rows, at] = _floats(columns[feature.name])
            else:
                matrix[:rows, at : at + feature.length] = _items(columns[feature.name], feature.length)
            at += feature.length or 1
        matrix[rows:] = matrix[rows - 1 : rows]
        return matrix

    def _rows(self, columns: Columns) -> list[tuple[Any, ...]]:
        """The features' values of each of few rows, null as None."""
        return list(zip(*map(columns.values, self._names), strict=True))

    def _data_frame(self, columns: Columns, padded: int) -> Any:
        """Columns by name; null as NaN, the way ``read_csv`` has it, and NaN makes floats of integers as it does there."""
        rows = np.minimum(np.arange(padded), len(columns) - 1)
        return self._frame(
            {
                name: values[rows]
                for feature in self._manifest.features
                for name, values in zip(feature.columns, _for_frame(columns[feature.name], feature.length), strict=True)
            }
        )

    def _call(self, table: Any) -> FloatArray:
        """One call to the model: float64, (rows, classes) or (rows,). Raises ModelError for another shape."""
        classes = len(self._manifest.classes)
        # A row that overflows is judged by its score; numpy's warning about it would only flood the log.
        with np.errstate(all="ignore"):
            raw: Any = None if self._logistic is None else self._logistic.probabilities(table)
            if raw is None:
                raw = self._model.predict_proba(table) if classes else self._model.predict(table)
        output = np.asarray(raw, np.float64)
        if not classes and output.shape == (len(table), 1):
            output = output[:, 0]
        expected = (len(table), classes) if classes else (len(table),)
        if output.shape != expected:
            raise ModelError(
                f"the model returned an array of shape {output.shape} for {len(table)} rows, not {expected}",
                hint="mend the model's predict method and pack it again",
            )
        return output

    def _scores(self, output: FloatArray) -> Scores:
        classes, threshold = self._manifest.classes, self._manifest.threshold
        if not classes:
            return Scores(output)
        if self._manifest.task == "binary" and threshold is not None:
            score = np.ascontiguousarray(output[:, self._positive])
            # The other class is 0 or 1, too.
            label = (score >= threshold) ^ (self._positive == 0)
            return Scores(score, classes, label.astype(np.int64), output)
        label = np.argmax(output, axis=1).astype(np.int64)
        return Scores(np.take_along_axis(output, label[:, None], axis=1)[:, 0], classes, label, output)

    def _choose_rows(self, probe: Columns) -> None:
        """Whole batches in one call where that gives the same bits, otherwise blocks of one size.

        Judged on rows mixed from the golden ones, column by column, since few rows show few differences.
        """
        try:
            self._pad_rows, self._call_rows = PAD_ROWS, MAX_CALL_ROWS
            whole = self.predict(probe)
            for first in range(0, _ALONE_ROWS, PAD_ROWS):
                if not _same_bits(whole, self.predict(_stretch(probe, first, PAD_ROWS)), first):
                    break
            else:
                if _same_bits(whole, self.predict(_stretch(probe, 1, PAD_ROWS)), 1):
                    return
        except ModelError:
            raise
        except Exception:  # noqa: BLE001, S110 - the model refuses a mixed row, so nothing is known: blocks are safe for any
            pass
        self._pad_rows = self._call_rows = BLOCK_ROWS

    def _choose_arithmetic(self, probe: Columns, logistic: BinaryLogistic | None) -> None:
        """Ours in place of the model's, if it knows the model and gives the same bits, for many rows and for few."""
        if logistic is None:
            return
        parts = [probe, *(_stretch(probe, first, 1) for first in range(PAD_ROWS))]
        try:
            expected = [self.predict(part) for part in parts]
        except Exception:  # noqa: BLE001 - the model refuses a mixed row, so nothing is known
            return
        self._logistic = logistic
        if not all(_same_bits(scores, self.predict(part), 0) for scores, part in zip(expected, parts, strict=True)):
            self._logistic = None

    def _mixed(self, rows: int) -> Columns:
        golden = self._golden.columns
        random = np.random.default_rng(0)
        names = [feature.name for feature in self._manifest.features]
        return Columns({name: golden[name].take(random.integers(0, len(golden), rows)) for name in names}, rows)

    def _check_alone(self) -> None:
        golden = self._golden.columns
        together = self.predict(golden)
        for row in {0, len(golden) // 2, len(golden) - 1}:
            if not _same_bits(together, self.predict(_stretch(golden, row, 1)), row):
                raise ModelError(
                    "a golden row alone has another score than among others: the model is not deterministic",
                    hint="look for random numbers or state in its predict method",
                )


_GOLDEN_HINT = "this is another machine, library or model than it was packed with; train and pack it again here"


def _floats(column: Column) -> FloatArray:
    if isinstance(column, NumberColumn):
        return column.floats() if column.null is not None else column.values
    raise ModelError("a text column can't stand in a matrix", hint="bind the bundle to the schema before predicting")


def _items(column: Column, length: int) -> npt.NDArray[Any]:
    if isinstance(column, VectorColumn):
        return column.matrix(length)
    raise ModelError("a feature with a length takes arrays", hint="bind the bundle to the schema before predicting")


def _for_frame(column: Column, length: int | None) -> Sequence[npt.NDArray[Any]]:
    """The data frame's columns that a feature fills."""
    if length is not None:
        return list(_items(column, length).T)
    if isinstance(column, NumberColumn):
        return [column.values if column.null is None else column.floats()]
    texts = column.objects()
    if isinstance(column, TextColumn) and column.null is not None:
        texts[column.null] = np.nan
    return [texts]


def _stretch(columns: Columns, first: int, rows: int) -> Columns:
    indices: IntArray = np.arange(first, first + rows, dtype=np.int64)
    return columns.take(indices)


def _same_bits(whole: Scores, part: Scores, first: int) -> bool:
    same = whole.score[first : first + len(part)].tobytes() == part.score.tobytes()
    if whole.probabilities is None or part.probabilities is None:
        return same
    return same and whole.probabilities[first : first + len(part)].tobytes() == part.probabilities.tobytes()


def _data_frame() -> Any:
    try:
        import pandas as pd  # noqa: PLC0415 - only models that select columns by name need it
    except ImportError:
        raise ModelError(
            "the model takes data frames, and pandas is not installed",
            hint="pip install 'prediction-worker[dataframe]'",
        ) from None
    return pd.DataFrame
