"""A snapshot of a group, of two looks and what came in between."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.unit.monitor.test_encoding import QUALITY
from worker.cli.top_state import LatestQuality, OpenEpisodes, RecentLetters, Snapshot, behind, rows_of, total_rate
from worker.cli.top_views import as_json, headline, lines
from worker.kafka.group_watch import GroupLook, Member, Progress
from worker.kafka.joiner_watch import JoinersLook

MEMBERS = [Member("a", "10.0.0.1", (0,)), Member("b", "10.0.0.2", (1,))]


def look(*progress: Progress) -> GroupLook:
    return GroupLook("stable", MEMBERS, dict(enumerate(progress)))


def test_rates_and_lags() -> None:
    """A rate is what was committed between two looks; a partition without an offset lags by all that it holds."""
    before = look(Progress(100, 0, 500), Progress(-1, 10, 30), Progress(7, 0, 7))
    now = look(Progress(300, 0, 600), Progress(15, 10, 40), Progress(7, 0, 7))
    rows = rows_of(now, before, 2.0)
    assert [(row.host, row.lag, row.rate) for row in rows] == [
        ("10.0.0.1", 300, 100),
        ("10.0.0.2", 25, 2.5),
        ("", 0, 0),
    ]
    assert total_rate(rows) == 102.5
    assert Progress(-1, 10, 30).lag == 20


def test_the_first_look_has_no_rates() -> None:
    """Of one look there is a lag, and no rate."""
    rows = rows_of(look(Progress(1, 0, 5)), None, 0.0)
    assert (rows[0].lag, rows[0].rate, total_rate(rows)) == (4, None, None)
    assert behind(300, 100.0) == 3.0
    assert behind(300, 0.0) is behind(300, None) is None


def test_dead_letters_are_forgotten() -> None:
    """Dead letters count for the last fifteen minutes, most frequent first."""
    recent = RecentLetters()
    for _ in range(2):
        recent.add(60_000 * 10, "decode", "malformed")
    recent.add(60_000 * 24, "validate", "below_minimum")
    assert [(one.reason, one.count) for one in recent.latest(60_000 * 24)] == [("malformed", 2), ("below_minimum", 1)]
    assert [one.reason for one in recent.latest(60_000 * 25)] == ["below_minimum"]


def alert(event: str, statistic: float, start: int, episode: str = "e") -> dict[str, Any]:
    return {
        "episode": episode,
        "event": event,
        "model_name": "loans",
        "model_version": "1.0.0",
        "series": "age",
        "what": "distribution",
        "severity": "major",
        "statistic": statistic,
        "threshold": 0.05,
        "window_start": start,
    }


def test_episodes_open_and_close() -> None:
    """An episode is shown from its first alert to its last, with its latest figures and its first window."""
    episodes = OpenEpisodes()
    episodes.add(alert("opened", 0.2, 1_000))
    episodes.add(alert("updated", 0.4, 2_000))
    (only,) = episodes.all()
    assert (only.statistic, only.since_ms, only.model) == (0.4, 1_000, "loans 1.0.0")
    episodes.add(alert("closed", 0.0, 3_000))
    episodes.add(alert("closed", 0.0, 3_000, "unknown"))
    assert episodes.all() == ()


def test_views() -> None:
    """The headline has the figures, and lines and JSON hold every partition; control characters are escaped."""
    episodes = OpenEpisodes()
    episodes.add(alert("opened", 0.2, 1_000))
    recent = RecentLetters()
    recent.add(0, "decode", "mal\x1b[31m")
    snapshot = Snapshot(
        group="g",
        topic="loans",
        state="stable",
        members=2,
        lag=300,
        rate=100.0,
        behind_seconds=3.0,
        latency_seconds=(0.005, None),
        partitions=rows_of(look(Progress(300, 0, 600)), None, 0),
        dead_letters=recent.latest(0),
        episodes=episodes.all(),
    )
    assert headline(snapshot) == (
        "g on loans: stable, 2 members; 100 records/s, lag 300 (3.0 s behind); latency p50 ≤ 5 ms, p99 ≤ –"
    )
    told = list(lines(snapshot))
    assert told[2].split("\t") == ["0", "10.0.0.1", "300", "600", "300", "–", ""]
    assert told[4].split("\t") == ["1", "decode", "mal\\x1b[31m"]
    assert told[6].split("\t")[:3] == ["age", "distribution", "major"]
    assert '"since_ms": 1000' in as_json(snapshot)


def test_quality() -> None:
    """Of each version and variant the latest report is shown, the youngest first; what was not judged has no score."""
    latest = LatestQuality()
    report = dataclasses.asdict(QUALITY) | {"figures": {"error_rate": 0.5}, "reference": {"error_rate": 0.125}}
    latest.add(report | {"window_end": 60_000, "figures": {}})
    latest.add(report)
    latest.add(report | {"model_version": "2.0.0", "window_end": 180_000, "judged": False, "reference": {}})
    snapshot = Snapshot(
        group="g",
        topic="loans",
        state="stable",
        members=2,
        lag=0,
        rate=None,
        behind_seconds=None,
        latency_seconds=(None, None),
        partitions=(),
        joiners=JoinersLook("g-labels", "stable", 1, 1_200, 3),
        quality=latest.all(),
    )
    told = list(lines(snapshot))
    assert told[1] == ("g-labels (joiners): stable, 1 member; left to read: 1,200 of the predictions, 3 of the labels")
    rows = [line.split("\t") for line in told[3:]]
    assert [row[0] for row in rows] == ["m 2.0.0", "m 1.0.0"]
    assert rows[0][3:] == ["87.5%", "50.00%", "–", "–", "–", "yes"]
    assert rows[1][3:] == ["87.5%", "50.00%", "12.50%", "25.00%", "2.00", "yes"]
    assert '"predictions_lag": 1200' in as_json(snapshot)
