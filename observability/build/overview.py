"""The first thirty seconds: healthy? keeping up? what is refused, and why? has anything drifted? is the model right?
which model serves?
"""

from __future__ import annotations

from observability.build.board import JOB, Board, Section
from observability.build.drift import concept_drift
from observability.build.panels import (
    BELOW_ALL,
    BLUE,
    GREEN,
    RED,
    YELLOW,
    Column,
    Query,
    bars,
    figure,
    graph,
    listing,
)


def board() -> Board:
    return Board(
        uid="overview",
        title="Overview",
        description="The first thirty seconds: is it healthy, is it keeping up, what is refused and why, has anything "
        "drifted, is the model right, which model serves.",
        sections=(_healthy(), _keeping_up(), _refused(), _drifted(), _right(), _serving()),
    )


def _healthy() -> Section:
    return Section(
        "Is it healthy?",
        (
            figure(
                "Alerts",
                "Alerts that fire. Each has a page in docs/operations.md: what it means, where to look, what to do.",
                "none",
                Query(f'count(ALERTS{{alertstate="firing", {JOB}}}) or vector(0)'),
                steps={1: YELLOW},
            ),
            figure(
                "Processes ready",
                "Processes with a verified model and a subscribed consumer; monitors and joiners count, too.",
                "none",
                Query(f"sum(worker_ready{{{JOB}}})"),
                steps={BELOW_ALL: RED, 1: GREEN},
            ),
            figure(
                "Partitions read",
                "Partitions of the input topic that somebody reads. Fewer than the topic has: some are not read.",
                "none",
                Query(f"sum(worker_assigned_partitions{{{JOB}}})"),
                steps={BELOW_ALL: RED, 1: GREEN},
            ),
            figure(
                "Slowest loop",
                "Since the loop furthest behind last went round. Above two minutes /healthz says so.",
                "s",
                Query(f"time() - min(worker_last_progress_timestamp_seconds{{{JOB}}})"),
                steps={30: YELLOW, 120: RED},
            ),
            figure(
                "Batches aborted",
                "Share of batches that were aborted and read again. A few in a rebalance are normal.",
                "percentunit",
                Query(
                    f'sum(rate(worker_batches_total{{outcome="aborted", {JOB}}}[$__rate_interval])) / '
                    f"(sum(rate(worker_batches_total{{{JOB}}}[$__rate_interval])) > 0) or vector(0)"
                ),
                steps={0.02: YELLOW, 0.1: RED},
            ),
            figure(
                "Restarts in the hour",
                "Processes that a supervisor started again, and containers that started anew in a pod that stayed.",
                "none",
                Query(
                    f"sum(increase(supervisor_restarts_total{{{JOB}}}[1h]) or "
                    f"changes(process_start_time_seconds{{{JOB}}}[1h]))"
                ),
                steps={1: YELLOW, 5: RED},
                decimals=0,
            ),
            listing(
                "What fires",
                "Alerts that fire, and those that will if it goes on (pending).",
                "none",
                f"ALERTS{{{JOB}}}",
                (
                    Column("alertname", "Alert"),
                    Column("alertstate", "State"),
                    Column("severity", "Severity"),
                    Column("job", "Group"),
                    Column("instance", "Instance"),
                ),
                width=24,
                height=5,
            ),
        ),
    )


def _keeping_up() -> Section:
    return Section(
        "Is it keeping up?",
        (
            figure(
                "Records per second",
                "Records read, whatever became of them.",
                "cps",
                Query(f"sum(rate(worker_records_consumed_total{{{JOB}}}[$__rate_interval]))"),
                height=8,
            ),
            figure(
                "Lag",
                "Records in the input topic that are not predicted yet.",
                "short",
                Query(f"sum(consumer_lag_records{{{JOB}}})"),
                height=8,
            ),
            figure(
                "Time to catch up",
                "How long the lag takes at the present rate, if nothing came in meanwhile.",
                "s",
                Query(
                    f"sum(consumer_lag_records{{{JOB}}}) / "
                    f"clamp_min(sum(rate(worker_records_consumed_total{{{JOB}}}[$__rate_interval])), 0.001)"
                ),
                steps={60: YELLOW, 300: RED},
                height=8,
            ),
            graph(
                "In, out, and lag",
                "Records read and predictions made per second; the lag on the same axis is a number of records.",
                "short",
                Query(f"sum(rate(worker_records_consumed_total{{{JOB}}}[$__rate_interval]))", "read per second"),
                Query(f"sum(rate(model_predictions_total{{{JOB}}}[$__rate_interval]))", "predicted per second"),
                Query(f"sum(consumer_lag_records{{{JOB}}})", "lag"),
                width=6,
            ),
            graph(
                "From Kafka to Kafka",
                "Age of a batch's oldest record when its results were durable, over batches. The objective: 99 of 100 "
                "batches within 5 s.",
                "s",
                *(
                    Query(
                        f"histogram_quantile({quantile}, sum by (le) "
                        f"(rate(event_end_to_end_seconds_bucket{{{JOB}}}[$__rate_interval])))",
                        name,
                    )
                    for quantile, name in ((0.5, "median"), (0.99, "99 of 100"))
                ),
                width=6,
                steps={5: RED},
            ),
        ),
    )


def _refused() -> Section:
    return Section(
        "What is refused, and why?",
        (
            figure(
                "Refused",
                "Share of records that became dead letters. The worker stops by itself at its limits ([dead_letters]).",
                "percentunit",
                Query(
                    f"sum(rate(worker_dead_letters_total{{{JOB}}}[$__rate_interval])) / "
                    f"(sum(rate(worker_records_consumed_total{{{JOB}}}[$__rate_interval])) > 0) or vector(0)"
                ),
                steps={0.05: YELLOW, 0.25: RED},
                height=8,
            ),
            graph(
                "Dead letters by reason",
                "Per second, by stage and reason. `prediction-worker dlq list` shows them one by one.",
                "cps",
                Query(
                    f"topk(8, sum by (stage, reason) (rate(worker_dead_letters_total{{{JOB}}}[$__rate_interval])) > 0)",
                    "{{stage}}: {{reason}}",
                ),
                width=20,
                stacked=True,
            ),
        ),
    )


def _drifted() -> Section:
    return Section(
        "Has anything drifted?",
        (
            figure(
                "Open episodes",
                "Episodes of drift that are open. Each was alerted once on the drift-alerts topic.",
                "none",
                Query(f"sum(drift_open_episodes{{{JOB}}})"),
                steps={1: YELLOW},
                height=8,
            ),
            bars(
                "Furthest from the training data",
                "The ten highest scores of the latest window; above 1 a series has drifted.",
                "none",
                Query(
                    f"topk(10, max by (series, what) (drift_score{{{JOB}}}))",
                    "{{series}} ({{what}})",
                ),
                width=20,
                steps={0.8: YELLOW, 1: RED},
            ),
        ),
    )


def _right() -> Section:
    return Section(
        "Is the model right? (where labels are joined)",
        (
            concept_drift(),
            figure(
                "Predictions with a label",
                "In the latest window whose labels have had their time; the least of all versions and variants.",
                "percentunit",
                Query(f"min(quality_labelled_ratio{{{JOB}}})"),
                height=8,
            ),
            figure(
                "Left to join",
                "Predictions and labels that the joiners have not read yet.",
                "short",
                Query(f"sum(labels_lag_records{{{JOB}}})"),
                height=8,
            ),
            graph(
                "Wrong",
                "Realised error rate of the latest window, by version and variant. It is a horizon behind, by design.",
                "percentunit",
                Query(
                    f'max by (model, version, variant) (quality_realised{{figure="error_rate", {JOB}}})',
                    "{{model}} {{version}} {{variant}}",
                ),
            ),
        ),
    )


def _serving() -> Section:
    return Section(
        "Which model serves?",
        (
            figure(
                "Versions",
                "Model versions that serve at once. More than one: a rollout is on its way, or stuck.",
                "none",
                Query(f"count(count by (model, model_version) (worker_build_info{{{JOB}}}))"),
                steps={2: BLUE},
                height=8,
            ),
            listing(
                "Models",
                "What serves, and in how many places.",
                "none",
                f"count by (job, model, model_version, version, mode) (worker_build_info{{{JOB}}})",
                (
                    Column("job", "Group"),
                    Column("model", "Model"),
                    Column("model_version", "Version"),
                    Column("version", "Worker"),
                    Column("mode", "Delivery"),
                    Column("Value", "Instances"),
                ),
                width=10,
            ),
            graph(
                "Predictions by version",
                "Per second.",
                "cps",
                Query(
                    f"sum by (model, version) (rate(model_predictions_total{{{JOB}}}[$__rate_interval]))",
                    "{{model}} {{version}}",
                ),
                width=10,
                stacked=True,
            ),
        ),
    )
