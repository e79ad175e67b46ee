"""Why records can't be predicted: a few causes, and the rows that each of them refuses."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worker.records.slices import IntArray


class Stage(enum.StrEnum):
    """Where in the flow a record was refused."""

    FRAMING = "framing"
    DECODE = "decode"
    VALIDATE = "validate"
    PREDICT = "predict"


class Reason(enum.StrEnum):
    """Why a record was refused: a closed set, so that dashboards and filters can rely on it."""

    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    UNKNOWN_FRAMING = "unknown_framing"
    UNKNOWN_SCHEMA = "unknown_schema"
    SCHEMA_CONFLICT = "schema_conflict"
    SCHEMA_REFUSED = "schema_refused"
    WRONG_RECORD_TYPE = "wrong_record_type"
    MALFORMED = "malformed"
    TRAILING_BYTES = "trailing_bytes"
    INVALID_VALUE = "invalid_value"
    NULL_NOT_ALLOWED = "null_not_allowed"
    NOT_FINITE = "not_finite"
    BELOW_MINIMUM = "below_minimum"
    ABOVE_MAXIMUM = "above_maximum"
    NOT_IN_ENUM = "not_in_enum"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    PATTERN_MISMATCH = "pattern_mismatch"
    MODEL_RAISED = "model_raised"
    PREDICTION_NOT_FINITE = "prediction_not_finite"


REASONS: Mapping[Stage, tuple[Reason, ...]] = {
    Stage.FRAMING: (
        Reason.EMPTY_VALUE,
        Reason.TOO_LARGE,
        Reason.UNKNOWN_FRAMING,
        Reason.UNKNOWN_SCHEMA,
        Reason.SCHEMA_CONFLICT,
        Reason.SCHEMA_REFUSED,
    ),
    Stage.DECODE: (
        Reason.SCHEMA_REFUSED,
        Reason.WRONG_RECORD_TYPE,
        Reason.MALFORMED,
        Reason.TRAILING_BYTES,
        Reason.INVALID_VALUE,
    ),
    Stage.VALIDATE: (
        Reason.NULL_NOT_ALLOWED,
        Reason.NOT_FINITE,
        Reason.BELOW_MINIMUM,
        Reason.ABOVE_MAXIMUM,
        Reason.NOT_IN_ENUM,
        Reason.TOO_SHORT,
        Reason.TOO_LONG,
        Reason.PATTERN_MISMATCH,
    ),
    Stage.PREDICT: (Reason.MODEL_RAISED, Reason.PREDICTION_NOT_FINITE),
}
"""What each stage refuses records for: all pairs there are, so that a count of each can be shown before the first."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a record can't be predicted.

    ``detail`` names field and rule; it never holds a value of the record, since dead-letter headers and logs are read
    by people who may not see the data.
    """

    stage: Stage
    reason: Reason
    detail: str
    field: str | None = None

    def __post_init__(self) -> None:
        assert self.reason in REASONS[self.stage], f"{self.stage} refuses nothing for {self.reason}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One record of a batch and its cause."""

    row: int
    stage: Stage
    reason: Reason
    detail: str
    field: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Refusals:
    """n refused rows of a batch: ``rows[i]`` for ``causes[kind[i]]``; ``rows`` and ``kind`` are int64 (n,).

    Every cause has rows, and no two are equal. Iterated over, and compared, it is a sequence of ``Refusal``.
    """

    rows: IntArray
    kind: IntArray
    causes: tuple[Cause, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Refusal:
        return _refusal(int(self.rows[index]), self.causes[self.kind[index]])

    def __iter__(self) -> Iterator[Refusal]:
        for row, kind in zip(self.rows.tolist(), self.kind.tolist(), strict=True):
            yield _refusal(row, self.causes[kind])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Refusals | Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def counts(self) -> list[tuple[Cause, int]]:
        """How many rows each cause has."""
        return list(zip(self.causes, np.bincount(self.kind, minlength=len(self.causes)).tolist(), strict=True))

    def among(self, rows: IntArray) -> Refusals:
        """Of row ``rows[i]`` what is said here of row i."""
        if not len(self):
            return self
        return Refusals(rows[self.rows], self.kind, self.causes)

    def in_order(self) -> Refusals:
        """By ascending rows."""
        order = np.argsort(self.rows, kind="stable")
        return Refusals(self.rows[order], self.kind[order], self.causes)

    @staticmethod
    def none() -> Refusals:
        return _NONE

    @staticmethod
    def alike(rows: IntArray, cause: Cause) -> Refusals:
        """All rows for one cause."""
        return Refusals(rows, np.zeros(len(rows), np.int64), (cause,)) if len(rows) else Refusals.none()

    @staticmethod
    def of(refusals: Iterable[Refusal]) -> Refusals:
        return Refusals.joined([Refusals.alike(np.array([one.row]), _cause(one)) for one in refusals])

    @staticmethod
    def joined(parts: Sequence[Refusals]) -> Refusals:
        """One after the other; equal causes become one."""
        parts = [part for part in parts if len(part)]
        if len(parts) < 2:
            return parts[0] if parts else Refusals.none()
        numbers: dict[Cause, int] = {}
        known = np.array([numbers.setdefault(c, len(numbers)) for part in parts for c in part.causes], np.int64)
        first = np.cumsum([0, *(len(part.causes) for part in parts[:-1])])
        place = np.concatenate([part.kind for part in parts]) + np.repeat(first, [len(part) for part in parts])
        return Refusals(np.concatenate([part.rows for part in parts]), known[place], tuple(numbers))


def _refusal(row: int, cause: Cause) -> Refusal:
    return Refusal(row, cause.stage, cause.reason, cause.detail, cause.field)


def _cause(refusal: Refusal) -> Cause:
    return Cause(refusal.stage, refusal.reason, refusal.detail, refusal.field)


_NONE = Refusals(np.empty(0, np.int64), np.empty(0, np.int64), ())
