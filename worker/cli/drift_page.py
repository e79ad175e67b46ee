"""Drift as one HTML page that needs nothing besides: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from worker.cli.drift_charts import Point, histogram, time_line
from worker.cli.drift_found import Episode, Fields, Found
from worker.cli.drift_quality import quality_section
from worker.cli.drift_views import summary
from worker.cli.texts import briefly
from worker.drift.profile import Series

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #667180; --paper: #fff; --card: #f5f7f9; --rule: #d9dee4;
  --reference: #9aa7b5; --window: #1f6feb; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #98a3af; --paper: #12161b; --card: #1b2128;
  --rule: #303942; --reference: #66727e; --window: #58a6ff; --bad: #ff7b72; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 0; }
p, td, th { color: inherit; } section > :first-child { margin-top: 0; }
section > * + h3 { margin-top: 1.2rem; } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: .8rem 1rem; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 13px; } td, th { padding: .25rem .5rem; text-align: left;
  border-bottom: 1px solid var(--rule); white-space: nowrap; } td:last-child { white-space: normal; min-width: 9rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } svg { width: 100%; min-width: 34rem; height: auto; display: block; }
.bars { max-width: 40rem; } text { font: 11px system-ui, sans-serif; fill: var(--soft); } .bin, .last { text-anchor: end; }
.axis { stroke: var(--rule); } polyline { fill: none; stroke-width: 1.5; } .value { stroke: var(--window); }
.limit { stroke: var(--soft); stroke-dasharray: 4 3; } .quiet { fill: var(--window); } .drifted { fill: var(--bad); }
.reference { fill: var(--reference); } .window { fill: var(--window); } .bad { color: var(--bad); font-weight: 600; }
summary { cursor: pointer; color: var(--soft); }
"""
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""


def page(found: Found) -> str:
    """The whole page. Texts are escaped, whoever wrote them."""
    title = f"Drift of {found.reference.model} {found.reference.version}"
    by_name = {series.name: series for series in found.reference.profile.series}
    sections = "".join(
        _section(name, what, line, by_name.get(name), found.reference.digest)
        for (name, what), line in found.lines().items()
    )
    return (
        f"{_HEAD}<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p class="soft">{escape(summary(found))}. Times are in UTC.</p>{_episodes(found.episodes())}'
        f"{quality_section(found)}<h2>Series</h2>{sections or _NOTHING}{_windows(found.reports)}</body></html>\n"
    )


_NOTHING = '<p class="soft">No window has been judged.</p>'


def _section(name: str, what: str, line: Sequence[tuple[Fields, Fields]], series: Series | None, digest: str) -> str:
    report, latest = line[-1]
    points = [Point(briefly(r["window_start"]), one["statistic"], one["threshold"], one["drifted"]) for r, one in line]
    drifted = sum(one["drifted"] for _, one in line)
    state = '<span class="bad">drifted</span>' if latest["drifted"] else "quiet"
    shown = {
        "statistic": latest["statistic"],
        "threshold": latest["threshold"],
        "score": latest["score"],
        **latest["shown"],
    }
    figures = " · ".join(f"{escape(key)} {value:.4g}" for key, value in shown.items())
    bars = ""
    if what == "distribution" and series is not None and report["profile_digest"] == digest:
        bars = (
            f"<details{' open' if latest['drifted'] else ''}><summary>{briefly(report['window_start'])}: window (below) "
            f"against reference (above)</summary>"
            f"{histogram(series.labels()[series.regular], series.counts[series.regular], latest['counts'])}</details>"
        )
    return (
        f"<section><h3>{escape(name)} <span class='soft'>{escape(what)}</span></h3><p>{state} in the latest window, "
        f"drifted in {drifted} of {len(line)}. <span class='soft'>{figures}</span></p>{time_line(points)}{bars}</section>"
    )


def _episodes(episodes: Sequence[Episode]) -> str:
    if not episodes:
        return '<h2>Episodes</h2><p class="soft">None.</p>'
    names = ("state", "severity", "series", "what", "from", "to", "statistic", "threshold", "most moved")
    rows = [
        (
            "open" if episode.is_open else "over",
            episode.latest["severity"],
            episode.latest["series"],
            episode.latest["what"],
            briefly(episode.opened["window_start"]),
            briefly(episode.latest["window_end"]),
            f"{episode.opened['statistic']:.4f}",
            f"{episode.opened['threshold']:.4f}",
            ", ".join(episode.opened["top_contributors"][:3]),
        )
        for episode in episodes
    ]
    return f"<h2>Episodes</h2>{_table(names, rows)}"


def _windows(reports: Iterable[Fields]) -> str:
    names = ("window", "records", "late", "over", "drifted series", "note")
    rows = [
        (
            briefly(report["window_start"]),
            str(report["records"]),
            str(report["late"]),
            str(report["over"]),
            str(sum(one["drifted"] for one in report["series"])) if report["judged"] else "not judged",
            report["note"],
        )
        for report in reports
    ]
    return f"<h2>Windows</h2><details><summary>All of them</summary>{_table(names, rows)}</details>"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
