"""The flow, stage by stage: what goes through, how long it takes, what waits, and who does it."""

from __future__ import annotations

from observability.build.board import JOB, Board, Section
from observability.build.panels import RATE, RED, YELLOW, Query, buckets, graph

PER_RECORD = f"clamp_min(sum(rate(worker_records_consumed_total{{{JOB}}}{RATE})), 0.001)"


def board() -> Board:
    return Board(
        uid="pipeline",
        title="Pipeline",
        description="What goes through, how long each stage takes, what waits in the topic, and which processes do it.",
        sections=(_through(), _time(), _waiting(), _processes()),
    )


def _through() -> Section:
    return Section(
        "What goes through",
        (
            graph(
                "Records per second",
                "What became of the records that were read. Read = predicted + refused + skipped, at every moment.",
                "cps",
                Query(f"sum(rate(model_predictions_total{{{JOB}}}{RATE}))", "predicted"),
                Query(f"sum(rate(worker_dead_letters_total{{{JOB}}}{RATE}))", "refused"),
                Query(f"sum(rate(worker_tombstones_total{{{JOB}}}{RATE}))", "skipped, without a value"),
                width=8,
                stacked=True,
            ),
            graph(
                "Bytes per second",
                "Keys and values of the records that were read.",
                "Bps",
                Query(f"sum by (instance) (rate(worker_input_bytes_total{{{JOB}}}{RATE}))", "{{instance}}"),
                width=8,
                stacked=True,
            ),
            graph(
                "Batches per second",
                "One transaction each. An aborted one is read again, by whoever has its partitions then.",
                "cps",
                Query(f"sum by (outcome) (rate(worker_batches_total{{{JOB}}}{RATE}))", "{{outcome}}"),
                width=8,
            ),
        ),
    )


def _time() -> Section:
    return Section(
        "Where the time goes",
        (
            graph(
                "Time by stage",
                "Seconds of work per second, over all processes. One process is full at 1; deliver waits for the broker.",
                "none",
                Query(f"sum by (stage) (rate(worker_stage_duration_seconds_sum{{{JOB}}}{RATE}))", "{{stage}}"),
                width=8,
                stacked=True,
            ),
            graph(
                "Time of a record",
                "Each stage's time divided by the records that went through.",
                "s",
                Query(
                    f"sum by (stage) (rate(worker_stage_duration_seconds_sum{{{JOB}}}{RATE})) / scalar({PER_RECORD})",
                    "{{stage}}",
                ),
                width=8,
                stacked=True,
            ),
            graph(
                "Slowest batches of a stage",
                "99 of 100 batches take no longer.",
                "s",
                Query(
                    "histogram_quantile(0.99, sum by (le, stage) "
                    f"(rate(worker_stage_duration_seconds_bucket{{{JOB}}}{RATE})))",
                    "{{stage}}",
                ),
                width=8,
            ),
            buckets(
                "From Kafka to Kafka",
                "Age of a batch's oldest record, by its Kafka timestamp, when its results were durable.",
                "s",
                f"sum by (le) (increase(event_end_to_end_seconds_bucket{{{JOB}}}{RATE}))",
            ),
            buckets(
                "Size of batches",
                "Batches grow with the lag, as long as one takes no longer than delivery.latency_target_ms.",
                "short",
                f"sum by (le) (increase(worker_batch_records_bucket{{{JOB}}}{RATE}))",
            ),
        ),
    )


def _waiting() -> Section:
    return Section(
        "What waits",
        (
            graph(
                "Lag by partition",
                "Records between the position and the end. One partition far above the others: a hot key, or one slow "
                "process. A line that ends: nobody reads that partition.",
                "short",
                Query(
                    f"topk(20, max by (topic, partition) (consumer_lag_records{{{JOB}}}))",
                    "{{topic}} {{partition}}",
                ),
            ),
            graph(
                "Time to catch up",
                "The lag divided by the present rate.",
                "s",
                Query(f"sum(consumer_lag_records{{{JOB}}}) / {PER_RECORD}", "time to catch up"),
                steps={60: YELLOW, 300: RED},
            ),
        ),
    )


def _processes() -> Section:
    return Section(
        "Who does it",
        (
            graph(
                "Partitions by instance",
                "Each step is a rebalance. Lines that never come to rest: sessions time out, or the autoscaler thrashes.",
                "none",
                Query(f"sum by (instance) (worker_assigned_partitions{{{JOB}}})", "{{instance}}"),
                width=8,
                stacked=True,
            ),
            graph(
                "Ready, and expected",
                "Processes that are ready, and those that a supervisor wants (none where each is a container of its own).",
                "none",
                Query(f"sum by (instance) (worker_ready{{{JOB}}})", "{{instance}} ready"),
                Query(f"sum by (instance) (supervisor_processes{{{JOB}}})", "{{instance}} expected"),
                width=8,
            ),
            graph(
                "Since the loop went round",
                "Above two minutes /healthz answers 503, and the process is restarted.",
                "s",
                Query(f"time() - worker_last_progress_timestamp_seconds{{{JOB}}}", "{{instance}}"),
                width=8,
                steps={120: RED},
            ),
            graph(
                "CPU",
                "Cores in use.",
                "none",
                Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{JOB}}}{RATE}))", "{{instance}}"),
                width=8,
                stacked=True,
            ),
            graph(
                "Memory",
                "Resident memory; bounded by the batch and fetch settings.",
                "bytes",
                Query(f"sum by (instance) (process_resident_memory_bytes{{{JOB}}})", "{{instance}}"),
                width=8,
                stacked=True,
            ),
            graph(
                "File descriptors",
                "Share of those that one process may open.",
                "percentunit",
                Query(f"process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}}", "{{instance}}"),
                width=8,
                steps={0.8: RED},
                top=1,
            ),
        ),
    )
