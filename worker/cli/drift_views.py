"""Drift on a terminal and in a pipe."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from worker.cli.drift_found import Found
from worker.cli.drift_quality import COLUMNS as QUALITY_COLUMNS
from worker.cli.drift_quality import latest_quality
from worker.cli.texts import counted, printable, show_rows, when

SERIES_COLUMNS = ("series", "what", "statistic", "threshold", "score", "drifted", "windows")
EPISODE_COLUMNS = (
    "episode",
    "state",
    "severity",
    "series",
    "what",
    "from",
    "to",
    "statistic",
    "threshold",
    "most moved",
)


def show_found(found: Found) -> None:
    """The series in the latest window that was judged, the episodes, and the model's quality."""
    rows = [
        (printable(name), what, *_figures(line[-1][1]), f"{sum(one['drifted'] for _, one in line)} of {len(line)}")
        for (name, what), line in found.lines().items()
    ]
    show_rows(SERIES_COLUMNS, rows)
    show_episodes([(episode.opened, episode.latest) for episode in found.episodes()])
    if quality := latest_quality(found):
        show_rows(QUALITY_COLUMNS, [one.cells() for one in quality])
    typer.echo(summary(found), err=True)


def show_episodes(episodes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """Each as its first alert and its latest."""
    rows = [
        (
            printable(str(latest["episode"])),
            "over" if latest["event"] == "closed" else "open",
            str(latest["severity"]),
            printable(str(latest["series"])),
            str(latest["what"]),
            when(opened["window_start"]),
            when(latest["window_end"]),
            f"{opened['statistic']:.4f}",
            f"{opened['threshold']:.4f}",
            printable(", ".join(opened["top_contributors"][:3])),
        )
        for opened, latest in episodes
    ]
    if rows:
        show_rows(EPISODE_COLUMNS, rows, frozenset({"state", "severity"}))


def show_json(found: Found) -> None:
    """An object a line: the reports, those of quality, then the alerts, as they were published."""
    for kind, records in (("report", found.reports), ("quality", found.quality), ("alert", found.alerts)):
        for fields in records:
            typer.echo(json_line({"kind": kind, **fields}))


def json_line(fields: Mapping[str, Any]) -> str:
    """One object; JSON knows no infinity and no NaN, they become null."""
    return json.dumps({name: _plain(value) for name, value in fields.items()}, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary(found: Found) -> str:
    """In one line, what was looked at."""
    reference, reports = found.reference, found.reports
    name = f"{reference.model} {reference.version}"
    if not reports:
        return f"{name}: no window has been reported"
    records, late = (sum(report[what] for report in reports) for what in ("records", "late"))
    unjudged = len(reports) - len(found.judged())
    still = sum(episode.is_open for episode in found.episodes())
    begin, end = when(reports[0]["window_start"]), when(reports[-1]["window_end"])
    return (
        f"{name}: {counted(len(reports), 'window')} from {begin} to {end}, {unjudged} of them not judged; "
        f"{counted(records, 'record')}, {late} late; {counted(still, 'episode')} open"
    )


def _figures(one: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = (f"{one['statistic']:.4f}", f"{one['threshold']:.4f}", f"{one['score']:.2f}")
    return (*numbers, "yes" if one["drifted"] else "no")
