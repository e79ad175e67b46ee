"""``doctor`` on a real Kafka: all is well, or it is not, and then the way out is the right one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not re-exported by name
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)
from typer.testing import CliRunner, Result

from tests.chaos.drift_field import SCHEMA, pack_readings
from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from worker.broker.apache import ApacheKafka
from worker.broker.ports import free
from worker.broker.topics import create_topics
from worker.cli import app
from worker.records import Record

AUTHORISED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


@dataclass
class Patient:
    """A worker's settings in a folder."""

    folder: Path
    bootstrap: str
    topic: str

    def write(self, bootstrap: str | None = None) -> None:
        (self.folder / "readings.avsc").write_text(json.dumps(SCHEMA), "utf-8")
        (self.folder / "worker.toml").write_text(
            f'[kafka]\nbootstrap = "{bootstrap or self.bootstrap}"\ngroup = "{self.topic}-worker"\n'
            f'[topics]\ninput = "{self.topic}"\n[event]\nschema = "readings.avsc"\nid = "id"\ntime = "at"\n'
            f'[model]\nbundle = "bundle"\n[telemetry]\nport = 0\n',
            "utf-8",
        )

    def says(self, *command: str) -> Result:
        done = CliRunner().invoke(app, [*command, "--config", str(self.folder / "worker.toml")])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        return done

    def findings(self, *options: str) -> tuple[int, list[dict[str, Any]]]:
        """The exit code, and what was found that is not fine."""
        done = self.says("doctor", "--json", *options)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return done.exit_code, [finding for finding in found if finding["level"] != "ok"]


def at_home(folder: Path, bootstrap: str, topic: str) -> Patient:
    pack_readings(folder / "bundle")
    patient = Patient(folder, bootstrap, topic)
    patient.write()
    return patient


@pytest.fixture
def patient(tmp_path: Path, kafka: KafkaUnderTest, make_topic: MakeTopic) -> Patient:
    return at_home(tmp_path, kafka.bootstrap, make_topic(partitions=2))


def errors(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert all(finding["fix"] for finding in found)
    return [finding for finding in found if finding["level"] == "error"]


def test_missing_topics_and_their_cure(patient: Patient) -> None:
    """Missing topics are errors; the fix that is named makes them, and then all is well, but for what is unpinned."""
    code, found = patient.findings()
    assert code == 1
    assert len(errors(found)) == 3
    assert {finding["fix"] for finding in errors(found)} == {"`prediction-worker topics create` makes what is missing"}
    assert patient.says("topics", "create").exit_code == 0
    code, found = patient.findings()
    assert (code, errors(found)) == (0, [])
    assert [finding["check"] for finding in found] == ["model"]
    assert "not pinned" in found[0]["text"] or "pin" in found[0]["text"]


def test_a_probe_leaves_nothing_behind(patient: Patient) -> None:
    """A probe goes there and back, compares the clocks, and its topic is gone; one of our own topics is refused."""
    patient.says("topics", "create")
    probe = f"{patient.topic}-probe"
    done = patient.says("doctor", "--probe", probe)
    assert done.exit_code == 0, done.stdout
    assert f"a record came through {probe} and back" in done.stdout
    assert "the broker's clock and ours differ by no more than" in done.stdout
    assert probe not in AdminClient({"bootstrap.servers": patient.bootstrap}).list_topics(timeout=10).topics
    (error,) = errors(patient.findings("--probe", patient.topic)[1])
    assert "is a topic of the settings" in error["text"]


def test_nobody_answers(patient: Patient) -> None:
    """Without a broker that is the one error, and what needs none is looked at all the same."""
    patient.write(f"127.0.0.1:{free(1)[0]}")
    done = patient.says("doctor")
    assert done.exit_code == 1
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == ["check", "level", "finding", "fix"]
    assert [line[0] for line in lines if line[1] == "error"] == ["broker"]
    assert {"versions", "settings", "model", "port", "registry"} <= {line[0] for line in lines}
    assert done.stderr.strip() == "1 error, 1 warning"


def test_several_things_at_once(patient: Patient, kafka: KafkaUnderTest) -> None:
    """A bundle that is gone, a setting that will hurt and records that don't fit are found in one go."""
    patient.says("topics", "create")
    resource = ConfigResource(ConfigResource.Type.TOPIC, f"{patient.topic}.predictions")
    compacted = ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET)
    resource.add_incremental_config(compacted)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result()
    produce_all(kafka.bootstrap, patient.topic, [Record("", i % 2, 0, 0, None, b"junk") for i in range(10)])
    (patient.folder / "bundle" / "manifest.json").unlink()
    code, found = patient.findings()
    assert code == 1
    assert [finding["check"] for finding in errors(found)] == ["model", "records"]
    assert "10 of the latest 10 records" in errors(found)[1]["text"]
    assert any("cleanup.policy is compact" in finding["text"] for finding in found)


def test_settings_that_are_wrong(patient: Patient) -> None:
    """A wrong setting is a finding, and the exit code says that there was one."""
    with (patient.folder / "worker.toml").open("a") as file:
        file.write("[delivery]\nlatency_target = 5\n")
    code, found = patient.findings()
    assert code == 1
    assert [finding["text"] for finding in found] == [
        "delivery.latency_target is not a setting; did you mean latency_target_ms?"
    ]


def test_labels(patient: Patient) -> None:
    """With labels the doctor looks at what a joiner needs, too: its settings, and a topic that others may have made."""
    with (patient.folder / "worker.toml").open("a") as file:
        file.write("[labels]\nhorizon_seconds = 60\njoiner = true\n")
    create_topics(patient.bootstrap, {f"{patient.topic}.labels": 3})
    patient.says("topics", "create")
    (wrong,) = errors(patient.findings()[1])
    assert wrong["text"].startswith(f"{patient.topic}.labels has 3 partitions, the input 2")
    done = patient.says("doctor")
    assert f"labels of {patient.topic}.labels are joined up to 60 s after their event" in done.stdout
    assert f"{patient.topic}-worker-labels (joiners): nobody runs" in done.stdout
    with (patient.folder / "worker.toml").open("a") as file:
        file.write('label = "outcome"\n')
    found = errors(patient.findings()[1])
    assert [finding["check"] for finding in found] == ["labels", "topics"]
    assert "labels.label names outcome" in found[0]["text"]


def test_what_the_authoriser_denies(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    """What ACLs deny is told beforehand, by the operations that the broker says are authorised."""
    apache_kafka._properties |= AUTHORISED
    apache_kafka.start()
    patient = at_home(tmp_path, apache_kafka.bootstrap, "readings")
    assert patient.says("topics", "create").exit_code == 0
    admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap})
    denied = AclBinding(
        ResourceType.TOPIC,
        "readings.predictions",
        ResourcePatternType.LITERAL,
        "User:ANONYMOUS",
        "*",
        AclOperation.WRITE,
        AclPermissionType.DENY,
    )
    allowed = AclBinding(
        ResourceType.TOPIC,
        "readings.predictions",
        ResourcePatternType.LITERAL,
        "User:ANONYMOUS",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    for future in admin.create_acls([denied, allowed]).values():
        future.result()
    code, found = patient.findings()
    assert code == 1
    (error,) = errors(found)
    assert error["text"] == "the worker may not write readings.predictions (predictions)"
    assert error["fix"] == "allow WRITE on topic readings.predictions"
