"""A snapshot as a live screen, as plain lines, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from worker.cli.texts import counted, printable, tabbed, when
from worker.cli.top_state import REMEMBERED_MINUTES, Snapshot
from worker.kafka.joiner_watch import JoinersLook

PARTITIONS = ("partition", "host", "committed", "end", "lag", "records/s", "stopped")
LETTERS = ("dead letters", "stage", "reason")
EPISODES = ("drift", "what", "severity", "statistic", "threshold", "since", "model")
QUALITY = ("quality of", "variant", "until", "with a label", "wrong", "held out", "tolerated", "score", "drifted")
Rows = list[tuple[str, ...]]
_SEVERITIES = {"minor": "yellow", "major": "red", "critical": "bold red"}


def as_json(snapshot: Snapshot) -> str:
    """One object."""
    return json.dumps(dataclasses.asdict(snapshot))


def lines(snapshot: Snapshot) -> Iterator[str]:
    """For a pipe: a line of figures, then tables of tab-separated cells, those without rows left out."""
    yield headline(snapshot)
    if snapshot.joiners is not None:
        yield joined(snapshot.joiners)
    for columns, rows in _tables(snapshot):
        if rows:
            yield tabbed(columns)
            yield from map(tabbed, rows)
    for what in snapshot.unseen:
        yield f"not shown: {what}"


def headline(snapshot: Snapshot) -> str:
    """Group, rate, lag and latency in one line."""
    median, high = (_duration(seconds) for seconds in snapshot.latency_seconds)
    return (
        f"{printable(snapshot.group)} on {printable(snapshot.topic)}: {snapshot.state}, "
        f"{counted(snapshot.members, 'member')}; {_rate(snapshot.rate)} records/s, lag {snapshot.lag:,} "
        f"({_duration(snapshot.behind_seconds)} behind); latency p50 ≤ {median}, p99 ≤ {high}"
    )


def joined(joiners: JoinersLook) -> str:
    """The joiners in one line."""
    return (
        f"{printable(joiners.group)} (joiners): {joiners.state}, {counted(joiners.members, 'member')}; left to read: "
        f"{joiners.predictions_lag:,} of the predictions, {joiners.labels_lag:,} of the labels"
    )


def picture(snapshot: Snapshot, trouble: str = "") -> RenderableType:
    """The whole screen; ``trouble``: why it is not of this moment."""
    (_, partitions), (_, letters), (_, episodes), (_, quality) = _tables(snapshot)
    parts: list[RenderableType] = [Text(headline(snapshot), style="bold")]
    if trouble:
        parts.append(Text(trouble, style="bold red"))
    parts += [Text(f"not shown: {what}", style="yellow") for what in snapshot.unseen]
    parts += [Text(), _table(PARTITIONS, partitions, {4: "cyan", 6: "bold red"})]
    count = sum(one.count for one in snapshot.dead_letters)
    parts += [Text(), Text(f"{count:,} dead letters in the last {REMEMBERED_MINUTES} minutes", style="dim")]
    if letters:
        parts.append(_table(LETTERS, letters, {0: "yellow"}))
    parts += [Text(), Text(f"{counted(len(episodes), 'episode')} of drift open", style="dim")]
    if episodes:
        parts.append(_table(EPISODES, episodes, {}))
    if snapshot.joiners is not None:
        parts += [Text(), Text(joined(snapshot.joiners), style="bold")]
    if quality:
        parts.append(_table(QUALITY, quality, {4: "cyan", 8: "bold red"}))
    return Panel(Group(*parts), title="prediction-worker top", subtitle="Ctrl-C ends it", border_style="cyan")


def _tables(snapshot: Snapshot) -> tuple[tuple[Sequence[str], Rows], ...]:
    partitions: Rows = [
        (
            str(row.partition),
            printable(row.host) or "–",
            str(row.committed) if row.committed >= 0 else "–",
            str(row.end),
            str(row.lag),
            _rate(row.rate),
            printable(row.stopped),
        )
        for row in snapshot.partitions
    ]
    letters: Rows = [
        (str(one.count), printable(one.stage or "?"), printable(one.reason or "?")) for one in snapshot.dead_letters
    ]
    episodes: Rows = [
        (
            printable(one.series),
            one.what,
            one.severity,
            f"{one.statistic:.3f}",
            f"{one.threshold:.3f}",
            when(one.since_ms),
            printable(one.model),
        )
        for one in snapshot.episodes
    ]
    quality: Rows = [
        (
            printable(one.model),
            printable(one.variant),
            when(one.until_ms),
            f"{one.share_labelled:.1%}",
            *(_share(rate) for rate in (one.error_rate, one.held_out, one.tolerated)),
            "–" if one.score is None else f"{one.score:.2f}",
            "yes" if one.drifted else "",
        )
        for one in snapshot.quality
    ]
    return (PARTITIONS, partitions), (LETTERS, letters), (EPISODES, episodes), (QUALITY, quality)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], styles: dict[int, str]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2))
    for place, name in enumerate(columns):
        table.add_column(name, style=styles.get(place), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_SEVERITIES.get(cell, "")) for cell in row))
    return table


def _share(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2%}"


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:,.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"
