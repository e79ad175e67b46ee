"""What is refused: how much, at which stage, for what reason, where."""

from __future__ import annotations

from observability.build.board import JOB, Board, Section
from observability.build.panels import RATE, RED, YELLOW, Column, Query, figure, graph, listing

REFUSED = f"sum(rate(worker_dead_letters_total{{{JOB}}}{RATE}))"
READ = f"sum(rate(worker_records_consumed_total{{{JOB}}}{RATE}))"


def board() -> Board:
    return Board(
        uid="dead-letters",
        title="Dead letters",
        description="What is refused: how much, at which stage, for what reason, where. `prediction-worker dlq list` "
        "shows the records themselves, `dlq replay` sends them round again.",
        sections=(_how_much(), _why()),
    )


def _how_much() -> Section:
    return Section(
        "How much",
        (
            figure(
                "Refused",
                "Share of the records read. The worker stops by itself at dead_letters.max_ratio of a partition's "
                "recent records, and at dead_letters.max_consecutive in a row.",
                "percentunit",
                Query(f"{REFUSED} / ({READ} > 0) or vector(0)"),
                steps={0.05: YELLOW, 0.25: RED},
                height=8,
            ),
            graph(
                "Share refused",
                "Of the records read, by instance. One instance alone: look at its partitions; all: at the schema, the "
                "model, or whoever writes the topic.",
                "percentunit",
                Query(
                    f"sum by (instance) (rate(worker_dead_letters_total{{{JOB}}}{RATE})) / "
                    f"(sum by (instance) (rate(worker_records_consumed_total{{{JOB}}}{RATE})) > 0)",
                    "{{instance}}",
                ),
                width=10,
                steps={0.25: RED},
            ),
            graph(
                "Per second, by stage",
                "framing: which schema wrote it; decode: bytes to columns; validate: the schema's rules; predict: the model.",
                "cps",
                Query(f"sum by (stage) (rate(worker_dead_letters_total{{{JOB}}}{RATE}))", "{{stage}}"),
                width=10,
                stacked=True,
            ),
        ),
    )


def _why() -> Section:
    return Section(
        "Why",
        (
            listing(
                "Reasons",
                "Dead letters in the range that is shown.",
                "short",
                f"sort_desc(sum by (stage, reason) (increase(worker_dead_letters_total{{{JOB}}}[$__range])) > 0)",
                (
                    Column("stage", "Stage"),
                    Column("reason", "Reason"),
                    Column("Value", "Dead letters", unit="short"),
                ),
                width=8,
            ),
            graph(
                "Per second, by reason",
                "docs/bad-input.md says what each reason means.",
                "cps",
                Query(
                    f"topk(10, sum by (reason) (rate(worker_dead_letters_total{{{JOB}}}{RATE})) > 0)",
                    "{{reason}}",
                ),
                width=10,
                stacked=True,
            ),
            graph(
                "Skipped",
                "Records without a value per second: they are counted and skipped, unless event.tombstones is dead-letter.",
                "cps",
                Query(f"sum(rate(worker_tombstones_total{{{JOB}}}{RATE}))", "tombstones"),
                width=6,
            ),
        ),
    )
