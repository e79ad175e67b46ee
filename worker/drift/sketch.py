"""What one transaction adds to the windows: integers, so that adding sketches up is exact in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.records import IntArray


@dataclass(frozen=True, slots=True)
class Range:
    """The offsets of one input partition that a sketch covers: ``first`` ≤ offset < ``next``.

    ``watermark_ms`` is the partition's after them: the latest event time so far, an event dated later than its own Kafka
    timestamp plus the allowed skew left out.
    """

    partition: int
    first: int
    next: int
    watermark_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class WindowCounts:
    """Counts of one input partition in one window, ``start_ms`` ≤ event time < ``start_ms`` + the window's length.

    ``bins`` (int64, ascending) are places in the concatenation of all series' bins, in the profile's order; ``counts``
    (int64, positive) belong to them.

    ``late``: how many records came while the partition's watermark (before its first: the record's Kafka timestamp) stood
    in this window, and are in none: their own window was over by more than the lateness, or is further ahead than the
    allowed skew. So each record's place depends on the records before it in its partition, and not on who read them in
    what batches. ``records`` may be 0 then.
    """

    partition: int
    start_ms: int
    records: int
    bins: IntArray
    counts: IntArray
    late: int = 0


@dataclass(frozen=True, slots=True)
class Sketch:
    """One transaction's counts of one model. ``profile_digest`` names the bins that they are of.

    The windows' length and the lateness by which the worker judged stand in it, so that who merges needs no settings
    in common with who counted.
    """

    model_name: str
    model_version: str
    profile_digest: str
    window_seconds: int
    lateness_seconds: int
    input_topic: str
    ranges: tuple[Range, ...]
    windows: tuple[WindowCounts, ...]


def bin_places(bins: Mapping[str, int]) -> dict[str, int]:
    """Where the bins of each series begin in the concatenation, by name."""
    begin, places = 0, {}
    for name, count in bins.items():
        places[name] = begin
        begin += count
    return places
