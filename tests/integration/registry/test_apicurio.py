"""A real registry between the official Confluent client and the worker; run by ``make registry-test`` (a download of 109 MB)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source import ROOT
from tests.chaos.fleet import Fleet
from tests.chaos.label_field import Cases, label_field, pack_cases
from tests.component.worker_rig import LOAN, event
from tests.conftest import MakeTopic
from tests.integration.registry.apicurio import Apicurio, apicurio
from tests.integration.security.bed import pack_loans
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from tests.support.waiting import wait_until
from worker.broker.topics import create_topics
from worker.errors import ExitCode

OFFICIAL = ROOT / ".venv-registry/bin/python"
# What producers write: the second with a field more and two wider types, the third with another one more.
FIELDS: list[dict[str, Any]] = [
    {"name": "application_id", "type": "string"},
    {"name": "age", "type": "int"},
    {"name": "credit_score", "type": "int"},
    {"name": "income", "type": ["null", "float"], "default": None},
    {"name": "purpose", "type": "string"},
]
WIDER = [*FIELDS[:3], {"name": "income", "type": ["null", "double"], "default": None}, FIELDS[4]]
CHANNEL = {"name": "channel", "type": "string", "default": "branch"}
REGION = {"name": "region", "type": "string", "default": "north"}
SCHEMAS = (FIELDS, [*WIDER, CHANNEL], [*WIDER, CHANNEL, REGION])
EACH = 50

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def registry() -> Iterator[Apicurio]:
    if not OFFICIAL.exists():
        pytest.skip("`make registry-test` makes the official client's environment")
    with apicurio() as started:
        yield started


class Field:
    """Topics, a worker's settings, and the official client."""

    def __init__(self, folder: Path, kafka: KafkaUnderTest, topic: str, registry: Apicurio) -> None:
        self.folder, self.kafka, self.topic, self.registry = folder, kafka, topic, registry
        create_topics(
            kafka.bootstrap, {f"{topic}{suffix}": 1 for suffix in (".predictions", ".dlq", ".drift-sketches")}
        )
        (folder / "loan.avsc").write_text(LOAN.text)
        self.config = folder / "worker.toml"
        self.config.write_text(
            f"""
            kafka = {{ bootstrap = "{kafka.bootstrap}", group = "{topic}" }}
            topics = {{ input = "{topic}" }}
            event = {{ schema = "loan.avsc", id = "application_id" }}
            model = {{ bundle = "{pack_loans(folder / "bundle")}" }}
            registry = {{ url = "{registry.url}", outputs = "register", timeout_seconds = 1 }}
            telemetry = {{ port = 0 }}
            """
        )

    def produce(self, version: int, first: int) -> None:
        schema = self.folder / f"v{version}.avsc"
        schema.write_text(json.dumps({"type": "record", "name": "LoanApplication", "fields": SCHEMAS[version]}))
        loan = {"age": 30, "credit_score": 700, "income": 50.5, "purpose": "car", "channel": "web", "region": "south"}
        names = {field["name"] for field in SCHEMAS[version]}
        events = [loan | {"application_id": f"loan-{first + n}", "credit_score": 400 + n} for n in range(EACH)]
        lines = [json.dumps({name: value for name, value in one.items() if name in names}) for one in events]
        self._official("produce", self.topic, "--schema", str(schema), given="\n".join(lines))

    def consumed(self, count: int) -> list[dict[str, Any]]:
        return consumed(self.registry, self.kafka.bootstrap, f"{self.topic}.predictions", count)

    def predictions(self) -> int:
        return len(read_all(self.kafka.bootstrap, f"{self.topic}.predictions"))

    def _official(self, what: str, topic: str, *arguments: str, given: str = "") -> str:
        return official(self.registry, self.kafka.bootstrap, what, topic, *arguments, given=given)


def official(registry: Apicurio, bootstrap: str, what: str, topic: str, *arguments: str, given: str = "") -> str:
    where = ["--registry", registry.url, "--bootstrap", bootstrap, "--topic", topic]
    done = subprocess.run(
        [str(OFFICIAL), str(ROOT / "tests/integration/registry/official.py"), what, *where, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def consumed(registry: Apicurio, bootstrap: str, topic: str, count: int) -> list[dict[str, Any]]:
    """So many records of a topic, as the official client reads them."""
    lines = official(registry, bootstrap, "consume", topic, "--count", str(count)).splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def field(tmp_path: Path, kafka: KafkaUnderTest, make_topic: MakeTopic, registry: Apicurio) -> Field:
    return Field(tmp_path, kafka, make_topic(), registry)


def test_with_the_official_client(field: Field) -> None:
    """Its events are understood, also as their schema evolves under a running worker, and its reader understands ours."""
    with Fleet(field.config) as fleet:
        worker = fleet.start()
        field.produce(0, 0)
        wait_until(lambda: field.predictions() == EACH or not worker.running, 60)
        field.produce(1, EACH)
        wait_until(lambda: field.predictions() == 2 * EACH or not worker.running, 60)
        unknown = b"\x00" + (987_654).to_bytes(4, "big") + b"\x00" * 8
        produce_all(field.kafka.bootstrap, field.topic, [event(unknown)])
        wait_until(lambda: bool(read_all(field.kafka.bootstrap, f"{field.topic}.dlq")) or not worker.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], worker.last_words()
    (letter,) = read_all(field.kafka.bootstrap, f"{field.topic}.dlq")
    assert (letter.value, dict(letter.headers)["reason"]) == (unknown, b"unknown_schema")
    read = field.consumed(2 * EACH)
    assert [one["event_id"] for one in read] == [f"loan-{n}" for n in range(2 * EACH)]
    assert [one["source_offset"] for one in read] == list(range(2 * EACH))
    # The same loans, written by the two schemas.
    assert [one["score"] for one in read[:EACH]] == [one["score"] for one in read[EACH:]]
    assert len({one["score"] for one in read}) == EACH


def test_a_registry_that_stands_still(field: Field, registry: Apicurio) -> None:
    """A schema that is new while the registry hangs holds the stream; nothing is refused, and all goes on with it."""
    with Fleet(field.config) as fleet:
        worker = fleet.start()
        field.produce(0, 0)
        wait_until(lambda: field.predictions() == EACH or not worker.running, 60)
        worker.send(signal.SIGSTOP)
        field.produce(2, EACH)
        registry.pause()
        try:
            worker.send(signal.SIGCONT)
            wait_until(lambda: worker.text().count("no answer in time") >= 2 or not worker.running, 60)
            assert field.predictions() == EACH
        finally:
            registry.resume()
        wait_until(lambda: field.predictions() == 2 * EACH or not worker.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], worker.last_words()
    assert read_all(field.kafka.bootstrap, f"{field.topic}.dlq") == []


def said(config: Path, *command: str) -> list[dict[str, Any]]:
    """What a command prints as JSON, an object a line."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", *command, "--json", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_the_monitor_says(kafka: KafkaUnderTest, tmp_path: Path, registry: Apicurio) -> None:
    """The official client reads reports and alerts by schemas that their subjects have; so do our own commands.

    The labels are flipped from a moment on, so that there is an alert. Sketches and state need no registry.
    """
    pack_cases(tmp_path / "bundle")
    cases = Cases.of(9_000, 2, minutes=18, flipped_from=7)
    with label_field(kafka.bootstrap, tmp_path, tmp_path / "bundle", cases) as field:
        with field.fleet.config.open("a") as settings:
            settings.write(f'\n[registry]\nurl = "{registry.url}"\noutputs = "register"\n')
        running = [start() for start in (field.joiner, field.monitor, field.worker)]
        wait_until(lambda: bool(field.values("drift-alerts")) or not all(one.running for one in running), 120)
        assert fleet_words(field.fleet) == ""
        assert field.fleet.stop(30) == [ExitCode.OK] * 3
        topics = {name: field.values(name) for name in ("drift-reports", "drift-alerts", "quality-reports")}
        read = {
            name: consumed(registry, kafka.bootstrap, f"{field.topic}.{name}", len(values))
            for name, values in topics.items()
        }
        assert {one["model_name"] for records in read.values() for one in records} == {"cases"}
        (alert, *_) = read["drift-alerts"]
        assert (alert["series"], alert["event"]) == ("prediction.error", "opened")
        with urllib.request.urlopen(f"{registry.url}/subjects", timeout=10) as answer:
            subjects = set(json.load(answer))
        assert {one for one in subjects if one.startswith(field.topic)} == {
            f"{field.topic}.{name}-value" for name in ("predictions", *topics)
        }
        assert {value[:2] for value in field.values("drift-sketches")} == {b"\xc3\x01"}
        kinds = Counter(one["kind"] for one in said(field.fleet.config, "drift", "report"))
        assert (kinds["alert"], kinds["report"] > 0, kinds["quality"] > 0) == (len(topics["drift-alerts"]), True, True)
        (shown,) = said(field.fleet.config, "top", "--once", "--interval", "0.2")
        assert ([one["series"] for one in shown["episodes"]], shown["unseen"]) == (["prediction.error"], [])
        inspected = said(field.fleet.config, "inspect", "--topic", f"{field.topic}.drift-alerts", "--values")
        assert inspected[0]["framing"] == "confluent"
        assert inspected[0]["values"]["series"] == "prediction.error"


def fleet_words(fleet: Fleet) -> str:
    """Of those that ended too soon."""
    return "\n".join(one.last_words() for one in fleet.workers if not one.running)
