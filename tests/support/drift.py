"""The definition of what is counted for drift, one value at a time; a profile and values to count by it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.drift.profile import BELOW, FIRST_CATEGORY, FIRST_NUMERIC, MISSING, NAN, OTHER, ReferenceProfile, Series
from worker.drift.sketch import Sketch, bin_places

Row = Sequence[Any]
Window = tuple[int, int]


def numeric(name: str, *edges: float) -> Series:
    return Series(name, "numeric", (0,) * (FIRST_NUMERIC + len(edges)), edges=edges)


def category(name: str, *values: str) -> Series:
    return Series(name, "category", (0,) * (FIRST_CATEGORY + len(values)), categories=values)


def profile_of(*series: Series, window_seconds: int = 3_600) -> ReferenceProfile:
    return ReferenceProfile(series, window_seconds, 0)


def bin_of(series: Series, value: Any) -> int:
    """Of a number or a text, None where it is missing."""
    if value is None:
        return MISSING
    if series.kind == "category":
        return FIRST_CATEGORY + series.categories.index(value) if value in series.categories else OTHER
    number, edges = float(value), series.edges
    if math.isnan(number):
        return NAN
    if number < edges[0]:
        return BELOW
    if number > edges[-1]:
        return FIRST_NUMERIC + len(edges) - 1
    return FIRST_NUMERIC + min(sum(edge <= number for edge in edges) - 1, len(edges) - 2)


def counts_of(profile: ReferenceProfile, rows: Sequence[Row]) -> Counter[int]:
    """By place among all bins; a row has a value for each series."""
    places = bin_places({series.name: series.bins for series in profile.series})
    found: Counter[int] = Counter()
    for row in rows:
        for series, value in zip(profile.series, row, strict=True):
            found[places[series.name] + bin_of(series, value)] += 1
    return found


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the input; ``row`` has a value for each series, None where the record is not predicted."""

    partition: int
    time_ms: int
    timestamp_ms: int
    row: Row | None


def windows_of(
    profile: ReferenceProfile, events: Iterable[Event], *, lateness_ms: int, skew_ms: int
) -> dict[Window, tuple[int, int, Counter[int]]]:
    """What all sketches must add up to, whoever made them; the events of a partition are in the order of offsets."""
    window_ms = profile.window_seconds * 1_000
    rows: dict[Window, list[Row]] = defaultdict(list)
    late: Counter[Window] = Counter()
    watermarks: Counter[int] = Counter()
    for event in events:
        if event.row is None:
            continue
        before, start = watermarks[event.partition], event.time_ms // window_ms * window_ms
        ahead = start > event.timestamp_ms + skew_ms
        if ahead or start + window_ms + lateness_ms <= before:
            late[event.partition, (before or event.timestamp_ms) // window_ms * window_ms] += 1
        else:
            rows[event.partition, start].append(event.row)
        if event.time_ms <= event.timestamp_ms + skew_ms:
            watermarks[event.partition] = max(before, event.time_ms)
    return {at: (len(rows[at]), late[at], counts_of(profile, rows[at])) for at in rows.keys() | late.keys()}


def added(sketches: Sequence[Sketch]) -> dict[Window, tuple[int, int, Counter[int]]]:
    """Records, late ones and counts of each partition's windows, by the window's start."""
    found: dict[Window, tuple[int, int, Counter[int]]] = {}
    for sketch in sketches:
        for window in sketch.windows:
            records, late, counts = found.get((window.partition, window.start_ms), (0, 0, Counter()))
            counts = counts + Counter(dict(zip(window.bins.tolist(), window.counts.tolist(), strict=True)))
            found[window.partition, window.start_ms] = (records + window.records, late + window.late, counts)
    return found
