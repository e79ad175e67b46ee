"""Quality for people: realised where labels have come, held out when the model was packed, and estimated without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from worker.cli.drift_charts import Point, time_line
from worker.cli.drift_found import Fields, Found
from worker.cli.texts import briefly

COLUMNS = ("quality", "realised", "estimate then", "held out", "estimate now")
NOTE = (
    "Realised: in the latest window whose labels have had their time. Estimates are made of the model's own scores, "
    "without labels: right as far as these are calibrated, and blind to what only labels can tell."
)


@dataclass(frozen=True, slots=True)
class Quality:
    """One figure: realised in the latest window that has it, estimated for that window, held out, and estimated by now."""

    name: str
    realised: float | None
    estimate_then: float | None
    held_out: float | None
    estimate_now: float | None

    def cells(self) -> tuple[str, ...]:
        values = (self.realised, self.estimate_then, self.held_out, self.estimate_now)
        return (self.name, *("" if value is None else f"{value:.4f}" for value in values))


def latest_quality(found: Found) -> list[Quality]:
    """By figure, of the primary variant."""
    estimates = {report["window_start"]: report["estimated"] for report in found.reports if report["estimated"]}
    now: Mapping[str, float] = next(reversed(estimates.values()), {})
    primary = [report for report in found.quality if report["variant"] == "primary" and report["figures"]]
    latest: Fields = primary[-1] if primary else {"figures": {}, "reference": {}, "window_start": None}
    then = estimates.get(latest["window_start"], {})
    return [
        Quality(name, latest["figures"].get(name), then.get(name), latest["reference"].get(name), now.get(name))
        for name in sorted(latest["figures"].keys() | now.keys())
    ]


def quality_section(found: Found) -> str:
    """HTML; empty where nothing is known."""
    rows = latest_quality(found)
    if not rows:
        return ""
    body = f'<p class="soft">{escape(NOTE)}</p>{_table(COLUMNS, [row.cells() for row in rows])}'
    for variant in dict.fromkeys(report["variant"] for report in found.quality):
        body += _course([report for report in found.quality if report["variant"] == variant], variant)
    return f"<h2>Quality</h2><section>{body}</section>"


def _course(reports: Sequence[Fields], variant: str) -> str:
    points = [
        Point(briefly(r["window_start"]), r["figures"].get("error_rate", 0.0), r["error_tolerated"], r["drifted"])
        for r in reports
    ]
    names = (
        "window",
        "predictions",
        "with a label",
        "doubled",
        "contradicting",
        "unmatched",
        "late",
        "error rate",
        "score",
        "note",
    )
    rows = [
        (
            briefly(r["window_start"]),
            str(r["predictions"]),
            f"{r['share_labelled']:.1%}",
            *(str(r[name]) for name in ("doubled", "contradicting", "unmatched", "late")),
            f"{r['figures'].get('error_rate', 0.0):.4f}",
            f"{r['score']:.2f}",
            r["note"],
        )
        for r in reports
    ]
    return (
        f"<h3>{escape(variant)} <span class='soft'>error rate by window, and what is tolerated</span></h3>"
        f"{time_line(points)}<details><summary>All windows</summary>{_table(names, rows)}</details>"
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
