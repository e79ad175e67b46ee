"""A vector among a model's columns: ``name[0]``, ``name[1]``, …, as a data frame or a CSV file has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

_PLACE = re.compile(r"^(.+)\[(0|[1-9]\d*)\]$")


def grouped(columns: Sequence[str]) -> list[tuple[str, int | None]]:
    """Features that these columns are, in order: a name and None, or a vector's name and its length.

    Neighbours make a vector when they count from 0 in steps of 1; whatever else has brackets stays a name of its own.
    """
    features: list[tuple[str, int | None]] = []
    for name, group in groupby(columns, lambda column: match[1] if (match := _PLACE.match(column)) else None):
        members = list(group)
        if name is not None and members == [f"{name}[{i}]" for i in range(len(members))]:
            features.append((name, len(members)))
        else:
            features += [(member, None) for member in members]
    return features
