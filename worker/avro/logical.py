"""What the values of a logical type may be, for one value and for a whole column.

Times must be ones that a calendar has: the years 1 to 9999, as Java's, Python's and SQL's types hold them. A timestamp of
2**62 milliseconds is damage, not data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.avro.nodes import Logical
from worker.records import BoolArray

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY_SECONDS = 86_400
_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _instants(per_second: int) -> tuple[int, int]:
    return _FIRST_DAY * _DAY_SECONDS * per_second, (_LAST_DAY + 1) * _DAY_SECONDS * per_second - 1


_RANGES = {
    "date": (_FIRST_DAY, _LAST_DAY),
    "time-millis": (0, _DAY_SECONDS * 10**3 - 1),
    "time-micros": (0, _DAY_SECONDS * 10**6 - 1),
    "timestamp-millis": _instants(10**3),
    "timestamp-micros": _instants(10**6),
    "local-timestamp-millis": _instants(10**3),
    "local-timestamp-micros": _instants(10**6),
}


@dataclass(frozen=True, slots=True)
class LogicalCheck:
    """Numbers from ``low`` to ``high``, or, where these are None, the text of a UUID."""

    low: int | None = None
    high: int | None = None

    def number_fits(self, value: Any) -> bool:
        return self.low is None or self.high is None or self.low <= value <= self.high

    def text_fits(self, value: bytes) -> bool:
        return self.low is not None or _UUID.fullmatch(value) is not None

    def outside(self, values: npt.NDArray[Any]) -> BoolArray | None:
        """Which numbers do not fit, bool of shape (n,), n at least 1; None: all fit."""
        assert self.low is not None
        assert self.high is not None
        if self.low <= values.min() and values.max() <= self.high:
            return None
        wrong: BoolArray = np.asarray((values < self.low) | (values > self.high))
        return wrong


def check_of(logical: Logical | None) -> LogicalCheck | None:
    if logical is None:
        return None
    if logical.name in _RANGES:
        return LogicalCheck(*_RANGES[logical.name])
    return LogicalCheck() if logical.name == "uuid" else None
