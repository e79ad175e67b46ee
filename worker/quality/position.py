"""Where the join of a partition has come to, and from where it has to be read again; it travels beside the committed offset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

_VERSION: Final = 1
NEVER: Final = 0
"""The watermark before the first record: 1970."""


@dataclass(frozen=True, slots=True)
class Way:
    """Through one of the two topics: everything below ``next`` is joined; what lies from ``again`` on is still of use.

    ``watermark_ms``: the latest time of the records below ``again``.
    """

    next: int
    again: int
    watermark_ms: int = NEVER

    @staticmethod
    def beginning(offset: int) -> Way:
        return Way(offset, offset)


@dataclass(frozen=True, slots=True)
class Position:
    """Of one partition. What a join holds follows from it and the two topics, and from nothing else."""

    predictions: Way
    labels: Way

    def text(self) -> str:
        """As it is committed, beside the offset of the labels."""
        ways = [[way.next, way.again, way.watermark_ms] for way in (self.predictions, self.labels)]
        return json.dumps({"v": _VERSION, "predictions": ways[0], "labels": ways[1]}, separators=(",", ":"))

    @staticmethod
    def read(text: str) -> Position:
        """Raises ValueError for what no joiner of this version committed."""
        try:
            known = json.loads(text)
            if known["v"] != _VERSION:
                raise ValueError(f"it is of version {known['v']}, and this program reads {_VERSION}")
            return Position(Way(*map(int, known["predictions"])), Way(*map(int, known["labels"])))
        except (KeyError, TypeError) as error:
            raise ValueError(repr(error)) from None
