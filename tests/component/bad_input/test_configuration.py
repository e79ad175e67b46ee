"""Family 42: what is wrong with the settings, all of it at once, and before anything is consumed.

The rest of 42, with a broker, stands in ``tests/integration/test_first_hour.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from typer.testing import CliRunner

from worker.cli import app
from worker.errors import ConfigurationError, ExitCode
from worker.kafka.config import consumer_config
from worker.kafka.errors import client
from worker.kafka.topics import check_topics
from worker.settings import Topics, load_settings

GOOD: dict[str, dict[str, Any]] = {
    "kafka": {"bootstrap": "127.0.0.1:1", "group": "g"},
    "topics": {"input": "events"},
    "event": {"schema": "event.avsc"},
    "model": {"bundle": "bundle"},
}


def written(folder: Path, **changes: dict[str, Any]) -> Path:
    """A settings file: the good one, with whole sections replaced or added."""
    lines = []
    for section, entries in {**GOOD, **changes}.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
    path = folder / "worker.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, {})
    assert caught.value.exit_code is ExitCode.CONFIGURATION
    return caught.value.problems


def test_the_good_one_loads(tmp_path: Path) -> None:
    """What the tests here change is right before they change it."""
    assert load_settings(written(tmp_path), {}).topics.predictions == "events.predictions"


@pytest.mark.parametrize("output", ["predictions", "dead_letters"])
def test_output_is_the_input(tmp_path: Path, output: str) -> None:
    """42: a worker that would read its own output is not started."""
    (problem,) = problems(written(tmp_path, topics={"input": "events", output: "events"}))
    assert "must be different topics" in problem


def test_outputs_are_one(tmp_path: Path) -> None:
    """42: nor one whose predictions and dead letters would be mixed."""
    (problem,) = problems(written(tmp_path, topics={"input": "a", "predictions": "b", "dead_letters": "b"}))
    assert "must be different topics" in problem


def test_every_problem_at_once(tmp_path: Path) -> None:
    """42: unknown keys, wrong types, values out of range and missing ones are named together, once each."""
    path = written(
        tmp_path,
        kafka={"bootstrap": "127.0.0.1:1", "grop": "g"},
        topics={"input": "events", "predictions": "events"},
        event={"schema": 5, "tombstones": "drop"},
        delivery={"max_batch_records": "many", "latency_target_ms": 0, "mode": "at-most-once"},
        nonsense={"a": 1},
    )
    found = problems(path)
    expected = [
        *("kafka.group is missing", "kafka.grop is not a setting", "topics:", "event.schema:", "event.tombstones:"),
        *("delivery.max_batch_records:", "delivery.latency_target_ms:", "delivery.mode:", "nonsense is not a setting"),
    ]
    assert [next((p for p in found if p.startswith(start)), start) for start in expected] == sorted(
        found, key=lambda problem: next(i for i, start in enumerate(expected) if problem.startswith(start))
    )


def test_the_command_consumes_nothing(tmp_path: Path) -> None:
    """42: the command ends before it looks for a broker."""
    result = CliRunner().invoke(
        app, ["run", "--config", str(written(tmp_path, topics={"input": "a", "prediction": "a"}))]
    )
    assert isinstance(result.exception, ConfigurationError)
    assert "topics.prediction is not a setting; did you mean predictions?" in result.exception.problems


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_max_poll_interval_too_short(tmp_path: Path, protocol: str) -> None:
    """42: where the group would give a member up within one batch, so that nothing is ever committed, none is started."""
    kafka = {**GOOD["kafka"], "protocol": protocol}
    path = written(tmp_path, kafka=kafka, **{"kafka.options": {'"max.poll.interval.ms"': 1_000}})
    with pytest.raises(ConfigurationError, match=r"max\.poll\.interval\.ms"):
        client(Consumer, consumer_config(load_settings(path, {}))).close()


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (
            {"in": 3, "in.predictions": 2, "in.dlq": 1},
            ["has 2 partitions, fewer than the input's 3", "has 1 partition,"],
        ),
        ({"in": 1}, ["in.predictions for predictions does not exist", "in.dlq for dead letters does not exist"]),
        ({}, ["input topic in does not exist", "in.predictions for", "in.dlq for"]),
    ],
)
def test_topics_that_do_not_fit(counts: dict[str, int], says: list[str]) -> None:
    """42: every missing topic and every output with fewer partitions than the input is named, with the way out."""
    with pytest.raises(ConfigurationError) as caught:
        check_topics(counts, Topics(input="in"))
    assert [words in problem for words, problem in zip(says, caught.value.problems, strict=True)] == [True] * len(says)
    assert "topics create" in str(caught.value.hint)


def test_topic_for_sketches() -> None:
    """42: a worker that counts for drift needs its topic; one that does not, does not. One partition is enough."""
    counts = {"in": 3, "in.predictions": 3, "in.dlq": 3}
    check_topics(counts, Topics(input="in"))
    check_topics({**counts, "in.drift-sketches": 1}, Topics(input="in"), drift=True)
    with pytest.raises(ConfigurationError, match=r"in\.drift-sketches for drift sketches does not exist"):
        check_topics(counts, Topics(input="in"), drift=True)
