"""What serves, how fast it is, and whether its answers still look as they did."""

from __future__ import annotations

from observability.build.board import JOB, Board, Section
from observability.build.panels import BLUE, RATE, RED, YELLOW, Column, Query, bars, buckets, figure, graph, listing


def board() -> Board:
    return Board(
        uid="model",
        title="Model",
        description="Which model serves, how fast it is, and whether its answers still look as they did in training.",
        sections=(_serving(), _speed(), _answers()),
    )


def _serving() -> Section:
    return Section(
        "What serves",
        (
            figure(
                "Versions",
                "Model versions that serve at once; more than one while a rollout is on its way.",
                "none",
                Query(f"count(count by (model, model_version) (worker_build_info{{{JOB}}}))"),
                steps={2: BLUE},
                height=8,
            ),
            listing(
                "Instances",
                "Each with the model that it serves.",
                "none",
                f"worker_build_info{{{JOB}}}",
                (
                    Column("job", "Group"),
                    Column("instance", "Instance"),
                    Column("model", "Model"),
                    Column("model_version", "Version"),
                    Column("version", "Worker"),
                    Column("mode", "Delivery"),
                ),
                width=10,
            ),
            graph(
                "Predictions by version",
                "Per second.",
                "cps",
                Query(
                    f"sum by (model, version) (rate(model_predictions_total{{{JOB}}}{RATE}))", "{{model}} {{version}}"
                ),
                width=10,
                stacked=True,
            ),
        ),
    )


def _speed() -> Section:
    duration = "model_prediction_duration_seconds"
    return Section(
        "How fast it is",
        (
            graph(
                "Time in the model, a batch",
                "One observation a batch in which the model was called.",
                "s",
                *(
                    Query(f"histogram_quantile({q}, sum by (le) (rate({duration}_bucket{{{JOB}}}{RATE})))", name)
                    for q, name in ((0.5, "median"), (0.99, "99 of 100"))
                ),
                width=8,
            ),
            graph(
                "Time in the model, a prediction",
                "Falls as batches grow. A new version that lifts it costs as much in processes.",
                "s",
                Query(
                    f"sum(rate({duration}_sum{{{JOB}}}{RATE})) / "
                    f"clamp_min(sum(rate(model_predictions_total{{{JOB}}}{RATE})), 0.001)",
                    "a prediction",
                ),
                width=8,
            ),
            buckets(
                "Time in the model",
                "Batches by the time that they spent in the model.",
                "s",
                f"sum by (le) (increase({duration}_bucket{{{JOB}}}{RATE}))",
                width=8,
            ),
        ),
    )


def _answers() -> Section:
    return Section(
        "Whether its answers look as they did",
        (
            figure(
                "Refused by the model",
                "Rows per second that made the model raise, or whose prediction was no finite number.",
                "cps",
                Query(f'sum(rate(worker_dead_letters_total{{stage="predict", {JOB}}}{RATE}))'),
                steps={0.001: YELLOW, 1: RED},
                height=8,
            ),
            bars(
                "Drift of the predictions, now",
                "Score of the latest window; above 1 the predictions are distributed otherwise than in training.",
                "none",
                Query(
                    f'max by (version, series, what) (drift_score{{series=~"prediction.*", {JOB}}})',
                    "{{version}} {{series}} ({{what}})",
                ),
                width=10,
                steps={0.8: YELLOW, 1: RED},
            ),
            graph(
                "Drift of the predictions",
                "Over time, with the threshold.",
                "none",
                Query(
                    f'max by (version, series, what) (drift_score{{series=~"prediction.*", {JOB}}})',
                    "{{version}} {{series}} ({{what}})",
                ),
                width=10,
                steps={1: RED},
            ),
        ),
    )
