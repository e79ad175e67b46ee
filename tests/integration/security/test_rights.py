"""Least privilege, on a real authoriser: what docs/security.md lists is enough, and nothing of it can be left out."""

from __future__ import annotations

import signal

import pytest

from tests.architecture.source import ROOT
from tests.chaos.fleet import Fleet
from tests.component.worker_rig import event
from tests.integration.security.bed import Bed, joiner_grants, labels_grants, monitor_grants, scram, worker_grants
from tests.support.kafka import produce_all, read_all
from tests.support.secured import Grant
from tests.support.waiting import wait_until
from worker.avro.quality_sketches import QualitySketchCodec
from worker.broker.topics import create_topics
from worker.errors import ExitCode
from worker.shipped import output_schema

WORKER = worker_grants("TOPIC", "GROUP")
MONITOR = monitor_grants("TOPIC", "GROUP")
JOINER = joiner_grants("TOPIC", "GROUP")
LABELS = labels_grants("TOPIC", "GROUP")


def named(bed: Bed, right: str) -> str:
    return right.replace("TOPIC", bed.topic).replace("GROUP", bed.group)


@pytest.mark.parametrize("mode", ["exactly-once", pytest.param("at-least-once", marks=pytest.mark.long)])
def test_the_documented_ones_are_enough(bed: Bed, mode: str) -> None:
    """A worker with exactly the documented ACLs predicts, refuses, counts for drift, and stops in order."""
    bed.mode = mode
    if mode == "at-least-once":
        bed.kafka.revoke(bed.user, worker_grants(bed.topic, bed.group)["transactional id"])
    bed.write(0, 20)
    produce_all(bed.kafka.bootstrap, bed.topic, [event(b"no Avro")])
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        letters = f"{bed.topic}.dlq"
        wait_until(lambda: bool(read_all(bed.kafka.bootstrap, letters)) or not worker.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], worker.last_words()
    assert bed.predictions() == 20
    assert len(read_all(bed.kafka.bootstrap, f"{bed.topic}.drift-sketches")) > 0


def errors_in(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("error: ")}


def test_each_of_them_is_needed(bed: Bed) -> None:
    """Whichever is missing, the start ends with exit code 3, one line that names it, and how to get it."""
    assert bed.checked()[0] == ExitCode.OK
    for right, grant in worker_grants(bed.topic, bed.group).items():
        if right == "transactional id":
            continue
        bed.kafka.revoke(bed.user, grant)
        code, text = bed.checked()
        assert (code, errors_in(text)) == (ExitCode.CONFIGURATION, {f"error: no ACL grants {right}"})
        assert f"kafka-acls.sh --add --allow-principal User:NAME --operation {right.split()[0].capitalize()}" in text
        bed.kafka.grant(bed.user, [grant])
    assert bed.checked()[0] == ExitCode.OK


def test_transactional_ids_are_needed(bed: Bed) -> None:
    """A worker that may not take its transactional id ends with exit code 3, one line, and how to get it."""
    bed.kafka.revoke(bed.user, worker_grants(bed.topic, bed.group)["transactional id"])
    bed.write(0, 1)
    code, text = bed.says("run")
    assert code == ExitCode.CONFIGURATION, text
    (error,) = errors_in(text)
    assert error.startswith(f"error: no ACL grants WRITE on transactional id {bed.group}-")
    assert "--operation Write --transactional-id" in text
    assert "Traceback" not in text
    assert bed.predictions() == 0


@pytest.mark.long
def test_all_that_are_missing_at_once(bed: Bed) -> None:
    """A worker without any ACL names all that the broker can be asked for, and predicts nothing."""
    for grant in worker_grants(bed.topic, bed.group).values():
        bed.kafka.revoke(bed.user, grant)
    bed.write(0, 1)
    code, text = bed.says("run")
    assert code == ExitCode.CONFIGURATION, text
    assert errors_in(text) == {
        f"error: no ACL grants {named(bed, right)}" for right in WORKER if right != "transactional id"
    }
    assert "Traceback" not in text
    assert bed.predictions() == 0


@pytest.mark.long
def test_one_is_taken_away_meanwhile(bed: Bed) -> None:
    """A right that is lost in mid-stream ends the worker with exit code 3, and nothing is committed past the batch."""
    bed.write(0, 5)
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        wait_until(lambda: bed.predictions() == 5 or not worker.running, 60)
        bed.kafka.revoke(bed.user, worker_grants(bed.topic, bed.group)[f"WRITE on topic {bed.topic}.predictions"])
        bed.write(5, 5)
        assert worker.await_exit(60) == ExitCode.CONFIGURATION, worker.last_words()
        assert "Topic authorization failed" in worker.text()
        assert "check the ACLs of the topics" in worker.text()
    assert bed.predictions() == 5
    bed.kafka.grant(bed.user, [worker_grants(bed.topic, bed.group)[f"WRITE on topic {bed.topic}.predictions"]])
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        wait_until(lambda: bed.predictions() == 10 or not worker.running, 60)
        worker.send(signal.SIGTERM)
        assert worker.await_exit(30) == ExitCode.OK, worker.last_words()
    assert bed.predictions() == 10


def become(bed: Bed, role: str, grants: dict[str, Grant]) -> None:
    """Another user, who has exactly these ACLs."""
    user = f"{bed.user}-{role}"
    folder = bed.folder / role
    folder.mkdir()
    bed.options, bed.user = scram(bed.kafka, folder, user), user
    if grants:
        bed.kafka.grant(user, grants.values())


def as_monitor(bed: Bed) -> None:
    """Another user, who has exactly the ACLs of a monitor."""
    become(bed, "monitor", monitor_grants(bed.topic, bed.group))


@pytest.mark.long
def test_a_monitor_with_the_documented_ones(bed: Bed) -> None:
    """A monitor with exactly its documented ACLs takes part, remembers, and stops in order."""
    bed.write(0, 20)
    with Fleet(bed.config) as fleet:
        fleet.start()
        wait_until(lambda: bed.predictions() == 20, 60)
        fleet.stop(30)
    as_monitor(bed)
    with Fleet(bed.config) as fleet:
        monitor = fleet.start(module=("worker", "monitor"))
        state = f"{bed.topic}.drift-state"
        wait_until(lambda: bool(read_all(bed.kafka.bootstrap, state)) or not monitor.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], monitor.last_words()


def test_a_monitor_without(bed: Bed) -> None:
    """A monitor without any of its ACLs gets the list of all that the broker can be asked for."""
    as_monitor(bed)
    for grant in monitor_grants(bed.topic, bed.group).values():
        bed.kafka.revoke(bed.user, grant)
    code, text = bed.says("monitor")
    assert code == ExitCode.CONFIGURATION, text
    assert errors_in(text) == {
        f"error: no ACL grants {named(bed, right)}" for right in MONITOR if right != "transactional id"
    }


def with_labels(bed: Bed) -> None:
    create_topics(bed.kafka.bootstrap, {f"{bed.topic}.{name}": 1 for name in ("labels", "quality-reports")})
    bed.settings["labels"] = {"horizon_seconds": 3_600}


@pytest.mark.long
def test_labels_with_the_documented_ones(bed: Bed) -> None:
    """A joiner, and a monitor beside it, with exactly their documented ACLs join and stop in order."""
    bed.write(0, 20)
    with_labels(bed)
    with Fleet(bed.config) as fleet:
        fleet.start()
        wait_until(lambda: bed.predictions() == 20, 60)
        fleet.stop(30)
    codec = QualitySketchCodec(output_schema("quality_sketch"))
    become(bed, "joiner", joiner_grants(bed.topic, bed.group))
    with Fleet(bed.config) as fleet:
        joiner, sketches = fleet.start(module=("worker", "join")), f"{bed.topic}.drift-sketches"
        wait_until(
            lambda: any(codec.knows(r.value) for r in read_all(bed.kafka.bootstrap, sketches)) or not joiner.running, 60
        )
        assert fleet.stop(30) == [ExitCode.OK], joiner.last_words()
    become(bed, "monitor", monitor_grants(bed.topic, bed.group) | labels_grants(bed.topic, bed.group))
    with Fleet(bed.config) as fleet:
        monitor, state = fleet.start(module=("worker", "monitor")), f"{bed.topic}.drift-state"
        wait_until(lambda: bool(read_all(bed.kafka.bootstrap, state)) or not monitor.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], monitor.last_words()


def test_a_joiner_without(bed: Bed) -> None:
    """A joiner without any of its ACLs gets the list of all that the broker can be asked for."""
    with_labels(bed)
    become(bed, "joiner", {})
    code, text = bed.says("join")
    assert code == ExitCode.CONFIGURATION, text
    assert errors_in(text) == {
        f"error: no ACL grants {named(bed, right)}" for right in JOINER if right != "transactional id"
    }


@pytest.mark.parametrize("grants", [WORKER, MONITOR, JOINER, LABELS], ids=["worker", "monitor", "joiner", "labels"])
def test_they_are_documented(grants: dict[str, object]) -> None:
    """docs/security.md lists each of these rights, in its words."""
    page = (ROOT / "docs/security.md").read_text("utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:4]] for line in page.splitlines() if line.startswith("|")]
    listed = {(row[0].lower(), row[1], row[2].lower()) for row in rows if len(row) == 3}
    for right in grants:
        if right != "transactional id":
            operation, _, kind, name = right.split(" ", 3)
            place = name.replace("TOPIC", "<input>").replace("GROUP", "<group>")
            assert (kind, place, operation.lower()) in listed, right
