"""What the monitor says: a report of each closed window, and an alert where an episode opens, grows or is over.

Fields are those of ``schemas/drift_report.avsc``, ``schemas/quality_report.avsc`` and ``schemas/drift_alert.avsc``, which
say what each holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["minor", "major", "critical"]
EpisodeEvent = Literal["opened", "updated", "closed"]


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What was found of one series in one window. A series with too few records there has no report."""

    name: str
    what: str
    records: int
    statistic: float
    threshold: float
    score: float
    span: int
    effect: float
    drifted: bool
    shown: Mapping[str, float]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One closed window of one model version; times in milliseconds since the epoch."""

    model_name: str
    model_version: str
    profile_digest: str
    window_start: int
    window_end: int
    records: int
    late: int
    over: int
    judged: bool
    note: str
    series: tuple[SeriesReport, ...]
    estimated: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Realised quality of one model version and variant in one window; times in milliseconds since the epoch."""

    model_name: str
    model_version: str
    variant: str
    window_start: int
    window_end: int
    predictions: int
    labelled: int
    share_labelled: float
    doubled: int
    contradicting: int
    unmatched: int
    late: int
    wrong: int
    beyond_limit: int
    judged: bool
    note: str
    figures: Mapping[str, float]
    reference: Mapping[str, float]
    error_tolerated: float
    score: float
    drifted: bool
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Alert:
    """One event of one episode."""

    episode: str
    event: EpisodeEvent
    model_name: str
    model_version: str
    series: str
    what: str
    severity: Severity
    window_start: int
    window_end: int
    statistic_name: str
    statistic: float
    span: int
    null_quantile: float
    threshold: float
    effect: float
    reference_records: int
    window_records: int
    bins: tuple[str, ...]
    reference_counts: tuple[int, ...]
    window_counts: tuple[int, ...]
    top_contributors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the windows that closed, in order of their end; alerts in the order in which they happened."""

    reports: tuple[Report, ...] = ()
    alerts: tuple[Alert, ...] = ()
    quality: tuple[QualityReport, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.reports or self.alerts or self.quality)

    def __add__(self, other: Outcome) -> Outcome:
        """This one, then the other."""
        return Outcome((*self.reports, *other.reports), (*self.alerts, *other.alerts), (*self.quality, *other.quality))
