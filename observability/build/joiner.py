"""Whether labels meet their predictions: a section of the dashboard of drift and quality."""

from __future__ import annotations

from observability.build.board import JOB, Section
from observability.build.panels import BELOW_ALL, GREEN, RATE, RED, YELLOW, Query, figure, graph

LAG = f"sum(labels_lag_records{{{JOB}}})"
READ = f"sum(rate(labels_records_consumed_total{{{JOB}}}{RATE}))"
PLACED = f'sum(rate(labels_total{{outcome=~"joined|unmatched", {JOB}}}[1h]))'


def section() -> Section:
    return Section(
        "Are the joiners well?",
        (
            figure(
                "Partitions joined",
                "Partitions of the labels that some joiner has; as many as the input's.",
                "none",
                Query(f"sum(labels_assigned_partitions{{{JOB}}})"),
                steps={BELOW_ALL: RED, 1: GREEN},
            ),
            figure(
                "Left to read",
                "Predictions and labels that the joiners have not read yet.",
                "short",
                Query(LAG),
            ),
            figure(
                "Time to catch up",
                "How long that takes at the present rate, if nothing came in meanwhile.",
                "s",
                Query(f"{LAG} / clamp_min({READ}, 0.001)"),
                steps={60: YELLOW, 600: RED},
            ),
            figure(
                "Held for labels",
                "Events whose prediction waits in the joiners' memory, about half a kilobyte each.",
                "short",
                Query(f"sum(labels_held_predictions{{{JOB}}})"),
            ),
            figure(
                "Unmatched",
                "Share of the last hour's labels that met no prediction within the horizon. Nearly all: the partitioner or the "
                "key is another than the input's.",
                "percentunit",
                Query(f'sum(rate(labels_total{{outcome="unmatched", {JOB}}}[1h])) / ({PLACED} > 0)'),
                steps={0.02: YELLOW, 0.1: RED},
            ),
            figure(
                "No predictions",
                "Records among the predictions that are none, in the last hour; somebody else writes to that topic.",
                "none",
                Query(f"sum(increase(labels_predictions_refused_total{{{JOB}}}[1h]))"),
                steps={1: YELLOW},
                decimals=0,
            ),
            graph(
                "Labels",
                "Per second, by what became of them. An unmatched one is told when the horizon has passed.",
                "cps",
                Query(f"sum by (outcome) (rate(labels_total{{{JOB}}}{RATE}))", "{{outcome}}"),
                stacked=True,
            ),
            graph(
                "Read, and left to read",
                "Predictions and labels read per second; what is left, on the same axis, is a number of records by topic.",
                "short",
                Query(READ, "read per second"),
                Query(f"sum by (topic) (labels_lag_records{{{JOB}}})", "left in {{topic}}"),
            ),
        ),
    )
