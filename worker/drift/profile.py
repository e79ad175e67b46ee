"""The reference profile: what the model was trained on, as histograms, and how far a window of that strays by itself.

Bins are fixed here, so counts of any worker and any window can be added and compared. The bins of a series, in the order
of every array of counts:

- numeric: missing, NaN, below the lowest edge, the k bins between the k + 1 edges (each with its lower edge, the last
  with both), above the highest edge;
- category: missing, other (a value that the reference does not know), the k known values.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

FORMAT_VERSION: Final = 1
MISSING, NAN, BELOW, FIRST_NUMERIC = 0, 1, 2, 3
OTHER, FIRST_CATEGORY = 1, 2
SCORE, LABEL = "prediction.score", "prediction.label"
"""Names of the model's own outputs among the series; no feature has a dot and such a name."""

Kind = Literal["numeric", "category"]


@dataclass(frozen=True, slots=True)
class Null:
    """How the deciding statistic was distributed over blocks of the training period, each against all of it.

    ``values``: the statistic of each block, in the order of time: how blocks follow on one another says how long a
    deviation lasts by itself. ``block_records``: how many records a block had in the mean. ``smoothed``: the root mean
    square of the statistic of blocks that are smoothed exponentially, by span (``worker.drift.nulls``).
    """

    values: tuple[float, ...]
    block_records: float
    smoothed: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Series:
    """One feature, or one output of the model.

    ``edges`` (ascending) of a numeric one, ``categories`` of the other; ``counts`` of the reference by bin. ``nulls``: by
    what is judged (``distribution``, ``missing``, ``unseen``); empty where the training data had no times, which means
    that independence is assumed.
    """

    name: str
    kind: Kind
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    nulls: Mapping[str, Null] | None = None

    def __post_init__(self) -> None:
        if len(self.counts) != self.bins:
            raise ValueError(f"{self.name}: {len(self.counts)} counts for {self.bins} bins")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"{self.name}: the edges do not ascend")

    @property
    def bins(self) -> int:
        if self.kind == "numeric":
            return FIRST_NUMERIC + len(self.edges)
        return FIRST_CATEGORY + len(self.categories)

    @property
    def regular(self) -> slice:
        """The bins of values that are there: all but missing."""
        return slice(1, None)

    def labels(self) -> list[str]:
        """What each bin is called, for people."""
        if self.kind == "category":
            return ["missing", "other", *self.categories]
        edges = [f"{edge:.6g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        return ["missing", "NaN", f"below {edges[0]}", *between, f"above {edges[-1]}"]


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """All series of one model. ``window_seconds`` is the length of the blocks behind the nulls, and of live windows.

    ``left_out``: why columns of the training data have no series, by name. ``expected``: of a classifier what its predictions
    are expected to be, by name and by bin of the score (``worker.drift.estimate``).
    """

    series: tuple[Series, ...]
    window_seconds: int
    records: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Readable, one series a paragraph; the same profile gives the same text."""
        return json.dumps({"format": FORMAT_VERSION, **asdict(self)}, indent=1, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> ReferenceProfile:
        """Raises ValueError for a text that is none, or of another format."""
        try:
            known = json.loads(text)
            if known["format"] != FORMAT_VERSION:
                raise ValueError(f"format {known['format']}, and this version reads {FORMAT_VERSION}")
            series = tuple(_series(one) for one in known["series"])
            window_seconds, records = int(known["window_seconds"]), int(known["records"])
            # Profiles from before there were estimates have none.
            expected = {name: tuple(map(float, values)) for name, values in known.get("expected", {}).items()}
            return ReferenceProfile(series, window_seconds, records, known["left_out"], expected)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no reference profile: {error!r}") from None


def _series(known: Mapping[str, Any]) -> Series:
    nulls = known["nulls"]
    return Series(
        name=known["name"],
        kind=known["kind"],
        counts=tuple(known["counts"]),
        edges=tuple(known["edges"]),
        categories=tuple(known["categories"]),
        nulls=None if nulls is None else {what: _null(one) for what, one in nulls.items()},
    )


def _null(known: Mapping[str, Any]) -> Null:
    smoothed = {int(span): value for span, value in known["smoothed"].items()}
    return Null(tuple(known["values"]), known["block_records"], smoothed)
