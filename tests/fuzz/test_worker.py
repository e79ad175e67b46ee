"""Mutated records through the whole worker on a real Kafka, in short form; ``make fuzz`` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.worker_main import MODULE
from tests.fuzz.worker import run, say_line
from tests.support.brokers import KafkaUnderTest


def test_mutated_records_through_the_whole_worker(kafka: KafkaUnderTest, tmp_path: Path) -> None:
    """20,000 mutated records among sound ones: no crash, no wrong neighbour, every record once, and memory stays."""
    report = run(kafka.bootstrap, tmp_path, 20_000, 1, say_line)
    say_line(report.text())
    assert report.wrong == ()
    assert report.mixture.mutated == 20_000
    assert report.finding.accepted_mutants > 1_000


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--mutant", "exchanges-scores"), "wrong prediction: "),
        (("--mutant", "exchanges-values"), "wrong key: "),
        (("--die", "decoded:3"), "the worker has ended, exit status -9"),
    ],
)
def test_a_broken_worker_is_found(
    kafka: KafkaUnderTest, tmp_path: Path, arguments: tuple[str, ...], fault: str
) -> None:
    """A worker that exchanges the answers of neighbours, or dies, is named as that."""
    report = run(kafka.bootstrap, tmp_path, 2_000, 2, say_line, module=MODULE, arguments=arguments)
    say_line(report.text())
    assert any(line.startswith(fault) for line in report.wrong), report.wrong
