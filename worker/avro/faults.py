"""What can be wrong with a record's bytes, as a small number per row; 0 is good."""

from __future__ import annotations

import enum

from worker.records import Cause, Reason, Stage


class Fault(enum.IntEnum):
    """Members are ordered by nothing; the numbers are only for arrays, never for the wire."""

    NONE = 0
    TRUNCATED = 1
    LONG_VARINT = 2
    INT_RANGE = 3
    LENGTH = 4
    UTF8 = 5
    BOOLEAN = 6
    BRANCH = 7
    UNMATCHED = 8
    SYMBOL = 9
    UNKNOWN_SYMBOL = 10
    BLOCK = 11
    TRAILING = 12
    VALUE = 13

    @property
    def reason(self) -> Reason:
        if self is Fault.TRAILING:
            return Reason.TRAILING_BYTES
        return (
            Reason.INVALID_VALUE if self in (Fault.VALUE, Fault.UNMATCHED, Fault.UNKNOWN_SYMBOL) else Reason.MALFORMED
        )


_SAID = {
    Fault.TRUNCATED: "the bytes end before the value does",
    Fault.LONG_VARINT: "a number is longer than 10 bytes or 64 bits",
    Fault.INT_RANGE: "an int is outside 32 bits",
    Fault.LENGTH: "a length is negative or beyond the record's end",
    Fault.UTF8: "a string is not valid UTF-8",
    Fault.BOOLEAN: "a boolean is neither 0 nor 1",
    Fault.BRANCH: "a union's branch is out of range",
    Fault.UNMATCHED: "the value's type is not one that the reader takes",
    Fault.SYMBOL: "an enum's index is out of range",
    Fault.UNKNOWN_SYMBOL: "the reader's enum lacks the symbol and has no default",
    Fault.BLOCK: "a block's count or size is wrong",
    Fault.VALUE: "the value is outside what its logical type holds",
}


class Refused(Exception):  # noqa: N818 - a verdict on one record
    """Raised while one record is read; ``field`` is the (dotted) field where it failed, empty for the whole record.

    ``trailing_bytes`` is how many bytes follow a record that ends too early.
    """

    def __init__(self, fault: Fault, field: str, trailing_bytes: int = 0) -> None:
        self.verdict: Verdict = fault, field, trailing_bytes


# Fault, field and trailing bytes.
Verdict = tuple[Fault, str, int]


def cause_of(verdict: Verdict) -> Cause:
    """In words, which name field and rule, never the value."""
    fault, field, trailing_bytes = verdict
    if fault is Fault.TRAILING:
        detail = f"{trailing_bytes} bytes follow the record"
    else:
        detail = f"{field}: {_SAID[fault]}" if field else _SAID[fault]
    return Cause(Stage.DECODE, fault.reason, detail, field or None)
