"""What has drifted, how far, since when; whether predictions come true; and whether those who say so are well themselves."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from observability.build import joiner
from observability.build.board import JOB, Board, Section
from observability.build.panels import BELOW_ALL, GREEN, RATE, RED, YELLOW, Column, Query, figure, graph, listing


def board() -> Board:
    return Board(
        uid="drift",
        title="Drift and quality",
        description="What has drifted, how far and since when; whether predictions come true, where labels are joined; and "
        "whether the monitor and the joiners that say so are well themselves.",
        sections=(_now(), _history(), _quality(), _monitor(), joiner.section()),
    )


def concept_drift() -> stat.Panel:
    return figure(
        "Concept drift",
        "Open episodes: labels say that the model is wrong more often than is tolerated.",
        "none",
        Query(f"sum(quality_open_episodes{{{JOB}}})"),
        steps={1: RED},
        height=8,
    )


def _now() -> Section:
    return Section(
        "Now",
        (
            figure(
                "Open episodes",
                "Episodes of drift that are open, of all models.",
                "none",
                Query(f"sum(drift_open_episodes{{{JOB}}})"),
                steps={1: YELLOW},
                height=8,
            ),
            listing(
                "Series of the latest window",
                "Score: the deciding statistic in units of its threshold. Above 1 the series has drifted.",
                "none",
                f"sort_desc(max by (model, version, series, what) (drift_score{{{JOB}}}))",
                (
                    Column("model", "Model"),
                    Column("version", "Version"),
                    Column("series", "Series"),
                    Column("what", "What of it"),
                    Column("Value", "Score", unit="none", steps={0.8: YELLOW, 1: RED}),
                ),
                width=20,
            ),
        ),
    )


def _history() -> Section:
    return Section(
        "Over time",
        (
            graph(
                "Scores",
                "The ten highest; dashed: the threshold. A window is judged when it closes, so a line is a staircase.",
                "none",
                Query(
                    f"topk(10, max by (series, what) (drift_score{{{JOB}}}))",
                    "{{series}} ({{what}})",
                ),
                steps={1: RED},
            ),
            graph(
                "Episodes that are open",
                "By model.",
                "none",
                Query(f"sum by (model) (drift_open_episodes{{{JOB}}})", "{{model}}"),
                width=6,
                stacked=True,
            ),
            graph(
                "Alerts",
                "How many were published in the last hour: opened, updated (it got worse), closed.",
                "none",
                Query(
                    f"sum by (event, severity) (increase(drift_alerts_total{{{JOB}}}[1h]))", "{{event}}, {{severity}}"
                ),
                width=6,
                stacked=True,
            ),
        ),
    )


def _quality() -> Section:
    return Section(
        "Quality, where labels are joined",
        (
            concept_drift(),
            listing(
                "Realised",
                "Of the latest window whose labels have had their time.",
                "none",
                f"sort(max by (model, version, variant, figure) (quality_realised{{{JOB}}}))",
                (
                    Column("model", "Model"),
                    Column("version", "Version"),
                    Column("variant", "Variant"),
                    Column("figure", "Figure"),
                    Column("Value", "Value", unit="none"),
                ),
                width=10,
            ),
            listing(
                "Estimated, without labels",
                "Of the latest window of drift, by the model's own scores: right as far as these are calibrated.",
                "none",
                f"sort(max by (model, version, figure) (quality_estimated{{{JOB}}}))",
                (
                    Column("model", "Model"),
                    Column("version", "Version"),
                    Column("figure", "Figure"),
                    Column("Value", "Estimate", unit="none"),
                ),
                width=10,
            ),
            graph(
                "Realised and estimated",
                "Accuracy and error rate by labels, the latest window of each version and variant; the estimate has none, and "
                "is of a window that is a horizon younger.",
                "percentunit",
                Query(
                    f'max by (version, variant, figure) (quality_realised{{figure=~"accuracy|error_rate", {JOB}}})',
                    "{{figure}} {{version}} {{variant}}",
                ),
                Query(
                    f'max by (version) (quality_estimated{{figure="accuracy", {JOB}}})',
                    "accuracy {{version}}, estimated",
                ),
                top=1,
            ),
            graph(
                "Score of concept drift",
                "By version and variant; dashed: the threshold. Evidence adds up over windows until there is no doubt.",
                "none",
                Query(
                    f'max by (version, series) (drift_score{{what="concept", {JOB}}})',
                    "{{version}} {{series}}",
                ),
                steps={1: RED},
            ),
            figure(
                "Predictions with a label",
                "Share of the latest such window's predictions whose label came within the horizon.",
                "percentunit",
                Query(f"min(quality_labelled_ratio{{{JOB}}})"),
                width=8,
            ),
            figure(
                "Latest such window ends",
                "In event time; a horizon behind, by design.",
                "dateTimeAsIso",
                Query(f"max(quality_last_window_end_timestamp_seconds{{{JOB}}}) * 1000"),
                width=8,
            ),
            figure(
                "Windows of quality closed",
                "In the last hour.",
                "none",
                Query(f"sum(increase(quality_windows_closed_total{{{JOB}}}[1h]))"),
                width=8,
                decimals=0,
            ),
        ),
    )


def _monitor() -> Section:
    return Section(
        "Is the monitor well?",
        (
            figure(
                "Active monitors",
                "1 is right: it merges and decides, the others stand by.",
                "none",
                Query(f"sum(drift_monitors_active{{{JOB}}})"),
                steps={BELOW_ALL: RED, 1: GREEN, 2: YELLOW},
            ),
            figure(
                "Latest window ends",
                "In event time. It stands still while a stalled partition holds the windows.",
                "dateTimeAsIso",
                Query(f"max(drift_last_window_end_timestamp_seconds{{{JOB}}}) * 1000"),
                width=5,
            ),
            figure(
                "Too late",
                "Share of records that were counted in no window: too late, or too far ahead.",
                "percentunit",
                Query(
                    f"sum(rate(drift_late_records_total{{{JOB}}}{RATE})) / "
                    f"(sum(rate(model_predictions_total{{{JOB}}}{RATE})) > 0) or vector(0)"
                ),
                width=5,
                steps={0.01: YELLOW, 0.1: RED},
            ),
            figure(
                "Windows closed",
                "In the last hour.",
                "none",
                Query(f"sum(increase(drift_windows_closed_total{{{JOB}}}[1h]))"),
                width=5,
                decimals=0,
            ),
            figure(
                "No sketches",
                "Records among the sketches that are none; somebody else writes to that topic.",
                "none",
                Query(f"sum(increase(drift_sketches_refused_total{{{JOB}}}[1h]))"),
                width=5,
                steps={1: YELLOW},
                decimals=0,
            ),
            graph(
                "Sketches made and added up",
                "Workers make one a transaction; the monitor adds them up. The lines part while it is behind.",
                "cps",
                Query(f'sum(rate(worker_batches_total{{outcome="delivered", {JOB}}}{RATE}))', "transactions"),
                Query(f"sum(rate(drift_sketches_total{{{JOB}}}{RATE}))", "added up"),
                width=24,
            ),
        ),
    )
