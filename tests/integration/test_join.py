"""``prediction-worker join``: what it refuses to begin with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.label_field import SCHEMA, pack_cases
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import make_topic
from worker.broker.topics import create_topics


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "cases"
    pack_cases(folder)
    return folder


def refused(bootstrap: str, topic: str, folder: Path, bundle: Path, labels: str) -> tuple[int, str]:
    """Exit code and what is printed to stderr."""
    (folder / "case.avsc").write_text(json.dumps(SCHEMA), "utf-8")
    config = folder / "worker.toml"
    config.write_text(
        f"""
        kafka = {{ bootstrap = "{bootstrap}", group = "{topic}" }}
        topics = {{ input = "{topic}" }}
        event = {{ schema = "case.avsc", id = "id", time = "at" }}
        model = {{ bundle = "{bundle}" }}
        labels = {{ {labels} }}
        telemetry = {{ port = 0 }}
        """,
        "utf-8",
    )
    command = [sys.executable, "-m", "worker", "join", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_labels_need_as_many_partitions(kafka: KafkaUnderTest, tmp_path: Path, bundle: Path) -> None:
    """A labels' topic with another count could not be joined: exit code 3, and both counts."""
    topic = make_topic(kafka.bootstrap, partitions=3, name_prefix="join")
    create_topics(kafka.bootstrap, {f"{topic}.predictions": 3, f"{topic}.labels": 2, f"{topic}.drift-sketches": 1})
    code, said = refused(kafka.bootstrap, topic, tmp_path, bundle, "horizon_seconds = 60")
    assert code == 3
    assert f"the topic {topic}.labels for labels has 2 partitions, the input 3" in said


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("", "labels.horizon_seconds is not set"),
        ("joiner = true", "labels.joiner needs labels.horizon_seconds"),
        ('horizon_seconds = 60, schema = "nowhere.avsc"', "there is no schema file"),
        ('horizon_seconds = 60, label = "outcome"', "labels.label names outcome"),
        ('horizon_seconds = 60, time = "event_id"', "labels.time names event_id"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, bundle: Path, labels: str, problem: str) -> None:
    """Each is told in one line, before any broker is asked."""
    code, said = refused("127.0.0.1:1", "nowhere", tmp_path, bundle, labels)
    assert code == 3
    assert problem in said
    assert "hint: " in said
