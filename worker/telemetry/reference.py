"""``docs/metrics.md``, written from the catalogue: ``python -m worker.telemetry.reference > docs/metrics.md``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from worker.telemetry import catalogue as c

_INTRODUCTION = """\
# Metrics

Served at `/metrics` on `telemetry.host:telemetry.port` (127.0.0.1:9464 unless set), beside `/healthz` (200 while the
loop goes round) and `/readyz` (200 while the model is verified and the consumer subscribed).

With `run --processes N` one port serves all processes: counters and histograms are added, and the last column says
what becomes of a gauge. This page is written from the catalogue (`worker/telemetry/catalogue.py`).
"""
_MERGING = {
    "livesum": "added",
    "livemin": "least",
    "livemax": "greatest",
    "livemostrecent": "latest",
}


def metrics_page() -> str:
    """The whole page, Markdown."""
    sections = (
        ("The worker", c.WORKER_METRICS),
        ("The drift monitor", c.MONITOR_METRICS),
        ("The joiner", c.JOINER_METRICS),
        ("The supervisor", c.SUPERVISOR_METRICS),
        ("The operating system's view", c.PROCESS_METRICS),
    )
    tables = (f"## {title}\n\n{_table(metrics)}" for title, metrics in sections)
    return "\n".join([_INTRODUCTION, *tables, _buckets()])


def _table(metrics: Sequence[c.Metric]) -> str:
    head = "| name | kind | labels | meaning | several processes |\n|---|---|---|---|---|\n"
    return head + "".join(_row(metric) for metric in metrics)


def _row(metric: c.Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    merging = _MERGING[metric.merging] if metric.kind is c.MetricKind.GAUGE else "added"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.documentation} | {merging} |\n"


def _buckets() -> str:
    histograms = [metric for metric in c.CATALOGUE if metric.buckets]
    lines = (f"- `{m.name}` ({m.unit}): {', '.join(f'{bound:g}' for bound in m.buckets)}\n" for m in histograms)
    return "## Buckets\n\n" + "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
