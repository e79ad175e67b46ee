"""Why a record can't be predicted."""

from __future__ import annotations

import enum
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one record of a batch can't be predicted.

    ``detail`` names field and rule; it never holds a value of the record, since dead-letter headers and logs are read
    by people who may not see the data.
    """

    row: int
    stage: Stage
    reason: Reason
    detail: str
    field: str | None = None
