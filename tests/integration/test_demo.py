"""The demo, shortened: what it shows is what it says."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from worker.broker.apache import ApacheKafka
from worker.demo.show import Play, perform

pytestmark = pytest.mark.kafka


def number(shown: str, name: str) -> int:
    """Of a row of the summary."""
    (found,) = re.findall(rf"^\s*{name}\s+([\d,]+)\s*$", shown, re.MULTILINE)
    return int(found.replace(",", ""))


def test_flights_and_labels_come_out_once(apache_kafka: ApacheKafka) -> None:
    """Worker and joiner are killed half-way; every flight is answered and every label joined, and the summary adds up."""
    console = Console(file=io.StringIO(), width=200)
    assert perform(Play(flights=4_000, rate=2_000), console, apache_kafka)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert re.search(r"kill -9 worker process \d+ and joiner \d+", shown)
    assert number(shown, "records in") == number(shown, "predictions") + number(shown, "dead letters") == 4_000
    # Whoever did not land where they were to land has no label.
    assert 0.9 * number(shown, "predictions") < number(shown, "labels in") <= number(shown, "predictions")
    assert number(shown, "joined") == number(shown, "labels in")
    assert "every flight was answered, exactly once" in shown
    assert f"{number(shown, 'joined'):,} joined: each counted, exactly once" in shown
