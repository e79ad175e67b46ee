"""What ``top`` shows at one moment, made of two looks at the group and of what has come in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.kafka.group_watch import GroupLook, Progress
from worker.kafka.joiner_watch import JoinersLook

REMEMBERED_MINUTES = 15
SHOWN_VERSIONS = 6


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """``rate``: records a second since the look before; None: there was none. ``host``: empty where nobody has it."""

    partition: int
    host: str
    committed: int
    end: int
    lag: int
    rate: float | None
    stopped: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Of one stage and reason, in the last minutes."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """One of drift; ``since_ms``: begin of the window in which it opened, in event time."""

    model: str
    series: str
    what: str
    severity: str
    statistic: float
    threshold: float
    since_ms: int


@dataclass(frozen=True, slots=True)
class QualityRow:
    """Realised quality of a model version and variant in its latest window; rates that are not known are None."""

    model: str
    variant: str
    until_ms: int
    share_labelled: float
    error_rate: float | None
    held_out: float | None
    tolerated: float | None
    score: float | None
    drifted: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``behind_seconds``: how long the lag takes at this rate; None: no rate is known, or nothing moves.

    ``latency_seconds``: below these the median and the 99th percentile of batches were out; None without metrics.
    ``joiners`` is None where labels are not configured, or their topic is not there. ``unseen``: what we may not see, and why.
    """

    group: str
    topic: str
    state: str
    members: int
    lag: int
    rate: float | None
    behind_seconds: float | None
    latency_seconds: tuple[float | None, float | None]
    partitions: tuple[PartitionRow, ...]
    dead_letters: tuple[DeadLetters, ...] = ()
    episodes: tuple[OpenEpisode, ...] = ()
    joiners: JoinersLook | None = None
    quality: tuple[QualityRow, ...] = ()
    unseen: tuple[str, ...] = ()


def rows_of(now: GroupLook, before: GroupLook | None, seconds: float) -> tuple[PartitionRow, ...]:
    """A row a partition; ``seconds`` lie between the looks."""
    hosts = {partition: member.host for member in now.members for partition in member.partitions}
    rows = []
    for partition, progress in sorted(now.progress.items()):
        earlier = before.progress.get(partition) if before else None
        rows.append(
            PartitionRow(
                partition=partition,
                host=hosts.get(partition, ""),
                committed=progress.committed,
                end=progress.end,
                lag=progress.lag,
                rate=_rate(progress, earlier, seconds),
                stopped=progress.stopped,
            )
        )
    return tuple(rows)


def total_rate(rows: Iterable[PartitionRow]) -> float | None:
    rates = [row.rate for row in rows if row.rate is not None]
    return sum(rates) if rates else None


def behind(lag: int, rate: float | None) -> float | None:
    """Seconds that the lag takes."""
    return None if not rate else lag / rate


def _rate(now: Progress, before: Progress | None, seconds: float) -> float | None:
    """Offsets a second: records and, where producers are transactional, their markers."""
    if before is None or seconds <= 0:
        return None
    begun = before.committed if before.committed >= 0 else before.start
    return max(0, (now.committed if now.committed >= 0 else now.start) - begun) / seconds


@dataclass(slots=True)
class RecentLetters:
    """Dead letters of the last minutes, counted by stage and reason."""

    _counts: Counter[tuple[int, str, str]] = field(default_factory=Counter)

    def add(self, timestamp_ms: int, stage: str, reason: str) -> None:
        self._counts[timestamp_ms // 60_000, stage, reason] += 1

    def latest(self, now_ms: int) -> tuple[DeadLetters, ...]:
        """The most frequent first; older ones are forgotten."""
        oldest = now_ms // 60_000 - REMEMBERED_MINUTES
        self._counts = Counter({key: count for key, count in self._counts.items() if key[0] > oldest})
        sums: Counter[tuple[str, str]] = Counter()
        for (_, stage, reason), count in self._counts.items():
            sums[stage, reason] += count
        return tuple(DeadLetters(stage, reason, count) for (stage, reason), count in sums.most_common())


@dataclass(slots=True)
class OpenEpisodes:
    """Those that have opened and not closed, by the alerts in their order."""

    _open: dict[str, OpenEpisode] = field(default_factory=dict)

    def add(self, alert: Mapping[str, Any]) -> None:
        """One by ``drift_alert.avsc``."""
        name = alert["episode"]
        if alert["event"] == "closed":
            self._open.pop(name, None)
            return
        before = self._open.get(name)
        self._open[name] = OpenEpisode(
            model=f"{alert['model_name']} {alert['model_version']}",
            series=alert["series"],
            what=alert["what"],
            severity=alert["severity"],
            statistic=alert["statistic"],
            threshold=alert["threshold"],
            since_ms=before.since_ms if before else alert["window_start"],
        )

    def all(self) -> tuple[OpenEpisode, ...]:
        return tuple(self._open.values())


@dataclass(slots=True)
class LatestQuality:
    """The latest report of each version and variant."""

    _latest: dict[tuple[str, str], QualityRow] = field(default_factory=dict)

    def add(self, report: Mapping[str, Any]) -> None:
        """One by ``quality_report.avsc``."""
        judged, figures = report["judged"], report["figures"]
        row = QualityRow(
            model=f"{report['model_name']} {report['model_version']}",
            variant=report["variant"],
            until_ms=report["window_end"],
            share_labelled=report["share_labelled"],
            error_rate=figures.get("error_rate"),
            held_out=report["reference"].get("error_rate"),
            tolerated=report["error_tolerated"] if judged else None,
            score=report["score"] if judged else None,
            drifted=report["drifted"],
        )
        self._latest[row.model, row.variant] = row

    def all(self) -> tuple[QualityRow, ...]:
        """The youngest first, as many as fit on a screen."""
        return tuple(sorted(self._latest.values(), key=lambda row: -row.until_ms)[:SHOWN_VERSIONS])
