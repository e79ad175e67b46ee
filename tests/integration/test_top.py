"""``top`` on a real Kafka: members, lag and rate of a group, dead letters and episodes, in a pipe and on a terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from tests.support.waiting import wait_until
from tests.unit.monitor.test_encoding import QUALITY
from worker.avro.any_record import AnySchema
from worker.broker.topics import create_topics
from worker.kafka.config import consumer_config
from worker.kafka.pair_source import KafkaPairSource
from worker.pipeline.dead_letters import DeadLetterPolicy
from worker.quality.position import Position, Way
from worker.records import Reason, Record, RecordBatch, Refusal, Refusals, Stage
from worker.settings import Settings, load_settings
from worker.shipped import output_schema

ALERT: dict[str, Any] = {
    "episode": "loans 1.0.0 age",
    "event": "opened",
    "model_name": "loans",
    "model_version": "1.0.0",
    "series": "age",
    "what": "distribution",
    "severity": "major",
    "window_start": 1_700_000_000_000,
    "window_end": 1_700_003_600_000,
    "statistic_name": "jensen-shannon",
    "statistic": 0.31,
    "span": 1,
    "null_quantile": 0.05,
    "threshold": 0.05,
    "effect": 0.3,
    "reference_records": 1_000,
    "window_records": 300,
    "bins": [],
    "reference_counts": [],
    "window_counts": [],
    "top_contributors": [],
}


@pytest.fixture
def config(kafka: KafkaUnderTest, make_topic: MakeTopic, tmp_path: Path) -> Path:
    """A group whose input holds 100 records on two partitions, with three dead letters and one episode."""
    topic = make_topic(partitions=2)
    create_topics(kafka.bootstrap, {f"{topic}.dlq": 2, f"{topic}.drift-alerts": 1})
    path = tmp_path / "worker.toml"
    path.write_text(settings_text(kafka.bootstrap, topic), "utf-8")
    produce_all(kafka.bootstrap, topic, [Record("", i % 2, 0, 0, None, b"v") for i in range(100)])
    records = [Record(topic, 0, i, 0, None, b"v") for i in range(3)]
    refusals = [Refusal(row, Stage.VALIDATE, Reason.BELOW_MINIMUM, "a rule", "age") for row in range(3)]
    letters = DeadLetterPolicy(f"{topic}.dlq", "g", "1", "loans 1.0.0").letters(
        RecordBatch.of(records), Refusals.of(refusals)
    )
    now = int(time.time() * 1_000)
    produce_all(
        kafka.bootstrap,
        f"{topic}.dlq",
        [Record("", 0, 0, now, None, letters.values[i], letters.headers[i]) for i in range(3)],
    )
    alert = AnySchema.of(output_schema("drift_alert")).write(ALERT)
    produce_all(kafka.bootstrap, f"{topic}.drift-alerts", [Record("", 0, 0, 0, b"k", alert)])
    return path


def settings_text(bootstrap: str, topic: str) -> str:
    return (
        f'[kafka]\nbootstrap = "{bootstrap}"\ngroup = "{topic}-worker"\n[topics]\ninput = "{topic}"\n'
        '[event]\nschema = "none.avsc"\n[model]\nbundle = "none"\n[telemetry]\nport = 0\n'
    )


@contextmanager
def member(settings: Settings) -> Iterator[Consumer]:
    """Somebody who has joined the group, and committed the first ten of each partition."""
    consumer = Consumer(consumer_config(settings) | {"auto.offset.reset": "earliest"})
    consumer.subscribe([settings.topics.input])
    try:
        wait_until(lambda: consumer.poll(0.1) is not None and len(consumer.assignment()) == 2, 30)
        positions = consumer.assignment()
        for position in positions:
            position.offset = 10
        consumer.commit(offsets=positions, asynchronous=False)
        yield consumer
    finally:
        consumer.close()


def command(config: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "worker", "top", "--config", str(config), "--interval", "0.2", *options]


def says(config: Path, *options: str) -> str:
    done = subprocess.run(command(config, *options), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_group_at_work(config: Path) -> None:
    """One picture has the members with their partitions, lags, dead letters by reason and open episodes."""
    with member(load_settings(config, {})):
        found = json.loads(says(config, "--once", "--json"))
        text = says(config)
    assert (found["state"], found["members"], found["lag"], found["rate"]) == ("stable", 1, 80, 0.0)
    assert [(row["committed"], row["end"], row["lag"]) for row in found["partitions"]] == [(10, 50, 40)] * 2
    assert {row["host"] for row in found["partitions"]} == {"127.0.0.1"}
    assert found["dead_letters"] == [{"stage": "validate", "reason": "below_minimum", "count": 3}]
    assert [(one["series"], one["statistic"]) for one in found["episodes"]] == [("age", 0.31)]
    lines = text.splitlines()
    assert "stable, 1 member; 0 records/s, lag 80" in lines[0]
    assert "3\tvalidate\tbelow_minimum" in lines


def test_a_group_that_nobody_has_joined(config: Path) -> None:
    """Where nobody runs, everything is lag and no partition has a host."""
    found = json.loads(says(config, "--once", "--json"))
    assert (found["members"], found["lag"]) == (0, 100)
    assert {row["host"] for row in found["partitions"]} == {""}


def test_labels(config: Path) -> None:
    """With labels there are the joiners, what they have left to read of both topics, and the latest realised quality."""
    with config.open("a", encoding="utf-8") as file:
        file.write("[labels]\nhorizon_seconds = 60\n")
    settings = load_settings(config, {})
    bootstrap, topics = settings.kafka.bootstrap, settings.topics
    assert json.loads(says(config, "--once", "--json"))["joiners"] is None
    create_topics(bootstrap, {topics.predictions: 2, topics.labels: 2, topics.quality_reports: 1})
    produce_all(bootstrap, topics.predictions, [Record("", i % 2, 0, 0, None, b"p") for i in range(60)])
    produce_all(bootstrap, topics.labels, [Record("", i % 2, 0, 0, None, b"l") for i in range(20)])
    report = AnySchema.of(output_schema("quality_report")).write(dataclasses.asdict(QUALITY))
    produce_all(bootstrap, topics.quality_reports, [Record("", 0, 0, 0, b"k", value) for value in (b"none", report)])
    found = json.loads(says(config, "--once", "--json"))
    joiners = found["joiners"]
    assert joiners["group"] == f"{topics.input}-worker-labels"
    assert (joiners["members"], joiners["predictions_lag"], joiners["labels_lag"]) == (0, 60, 20)
    assert [(row["model"], row["score"], row["drifted"]) for row in found["quality"]] == [("m 1.0.0", 2.0, True)]
    joiner = KafkaPairSource(settings)
    try:
        wait_until(lambda: len(joiner.poll(0.1).assigned) == 2, 30)
        consumer = joiner._labels.consumer
        at = Position(Way(20, 0), Way(4, 0)).text()
        committed = TopicPartition(topics.labels, 0, 4, metadata=at)
        consumer.commit(offsets=[committed], asynchronous=False)
        found = json.loads(says(config, "--once", "--json"))
    finally:
        joiner.close()
    assert found["joiners"] == joiners | {"state": "stable", "members": 1, "predictions_lag": 40, "labels_lag": 16}


class Screen:
    """``top`` on a terminal of its own, and what it has drawn."""

    def __init__(self, config: Path) -> None:
        self._ours, theirs = pty.openpty()
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}
        self.process = subprocess.Popen(
            command(config), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def shows(self, *texts: str, never: str = "\0") -> None:
        """Returns once a whole picture has all of these, and not the other."""
        deadline = time.monotonic() + 60
        while not any(
            all(t in one for t in texts) and never not in one for one in self.seen.split("prediction-worker top")[1:-1]
        ):
            assert time.monotonic() < deadline, self.seen[-3_000:]
            assert self._read(), self.seen[-3_000:]

    def ends(self) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        while self._read():
            pass
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self._ours)

    def _read(self) -> bool:
        """False at the end, which Linux tells of a terminal by an error."""
        try:
            more = os.read(self._ours, 65_536)
        except OSError:
            return False
        self.seen += more.decode("utf-8", "replace")
        return bool(more)


def test_the_live_screen(config: Path) -> None:
    """On a terminal the picture is drawn until Ctrl-C, which ends it cleanly and gives the screen back."""
    with contextlib.closing(Screen(config)) as screen:
        screen.shows("below_minimum", "1 episode of drift open", "Ctrl-C ends it")
        assert screen.ends() == 0
    assert "\x1b[?1049l" in screen.seen
    assert "Traceback" not in screen.seen
