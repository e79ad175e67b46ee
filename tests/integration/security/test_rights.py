"""Least privilege, on a real authoriser: what docs/security.md lists is enough, and nothing of it can be left out."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping

import pytest

from tests.chaos.fleet import Fleet
from tests.component.worker_rig import event
from tests.integration.security.bed import Bed, become, grants_of
from tests.support.kafka import produce_all, read_all
from tests.support.secured import Grant
from tests.support.waiting import wait_until
from worker.avro.quality_sketches import QualitySketchCodec
from worker.broker.topics import create_topics
from worker.errors import ExitCode
from worker.kafka.needed_rights import joiner_rights, monitor_rights
from worker.shipped import output_schema

TRANSACTIONAL = "WRITE on transactional id "


@pytest.mark.parametrize("mode", ["exactly-once", pytest.param("at-least-once", marks=pytest.mark.long)])
def test_the_documented_ones_are_enough(bed: Bed, mode: str) -> None:
    """A worker with exactly the documented ACLs predicts, refuses, counts for drift, and stops in order."""
    if mode == "at-least-once":
        bed.kafka.revoke(bed.user, transactional(bed))
    bed.mode = mode
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


def transactional(bed: Bed) -> Grant:
    return bed.worker_grants()[f"{TRANSACTIONAL}{bed.group}-"]


def all_named(grants: Iterable[str]) -> set[str]:
    """The errors of which each is missing: of transactional ids nobody can be asked."""
    return {f"error: no ACL grants {right}" for right in grants if not right.startswith(TRANSACTIONAL)}


def test_each_of_them_is_needed(bed: Bed) -> None:
    """Whichever is missing, the start ends with exit code 3, one line that names it, and how to get it."""
    assert bed.checked()[0] == ExitCode.OK
    for right, grant in bed.worker_grants().items():
        if right.startswith(TRANSACTIONAL):
            continue
        bed.kafka.revoke(bed.user, grant)
        code, text = bed.checked()
        assert (code, errors_in(text)) == (ExitCode.CONFIGURATION, {f"error: no ACL grants {right}"})
        assert f"kafka-acls.sh --add --allow-principal User:NAME --operation {right.split()[0].capitalize()}" in text
        bed.kafka.grant(bed.user, [grant])
    assert bed.checked()[0] == ExitCode.OK


def test_transactional_ids_are_needed(bed: Bed) -> None:
    """A worker that may not take its transactional id ends with exit code 3, one line, and how to get it."""
    bed.kafka.revoke(bed.user, transactional(bed))
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
    for grant in bed.worker_grants().values():
        bed.kafka.revoke(bed.user, grant)
    bed.write(0, 1)
    code, text = bed.says("run")
    assert code == ExitCode.CONFIGURATION, text
    assert errors_in(text) == all_named(bed.worker_grants())
    assert "Traceback" not in text
    assert bed.predictions() == 0


@pytest.mark.long
def test_one_is_taken_away_meanwhile(bed: Bed) -> None:
    """A right that is lost in mid-stream ends the worker with exit code 3, and nothing is committed past the batch."""
    bed.write(0, 5)
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        wait_until(lambda: bed.predictions() == 5 or not worker.running, 60)
        bed.kafka.revoke(bed.user, bed.worker_grants()[f"WRITE on topic {bed.topic}.predictions"])
        bed.write(5, 5)
        assert worker.await_exit(60) == ExitCode.CONFIGURATION, worker.last_words()
        assert "Topic authorization failed" in worker.text()
        assert "check the ACLs of the topics" in worker.text()
    assert bed.predictions() == 5
    bed.kafka.grant(bed.user, [bed.worker_grants()[f"WRITE on topic {bed.topic}.predictions"]])
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        wait_until(lambda: bed.predictions() == 10 or not worker.running, 60)
        worker.send(signal.SIGTERM)
        assert worker.await_exit(30) == ExitCode.OK, worker.last_words()
    assert bed.predictions() == 10


def as_monitor(bed: Bed) -> dict[str, Grant]:
    """Another user, who has exactly the ACLs of a monitor."""
    grants = grants_of(monitor_rights(bed.read_settings))
    become(bed, "monitor", grants)
    return grants


def as_joiner(bed: Bed) -> dict[str, Grant]:
    """Likewise, of a joiner."""
    grants = grants_of(joiner_rights(bed.read_settings))
    become(bed, "joiner", grants)
    return grants


def check_each_is_needed(bed: Bed, command: str, grants: Mapping[str, Grant]) -> None:
    """Whichever is missing, the start ends with exit code 3 and one line that names it; nothing is written."""
    for right, grant in grants.items():
        bed.kafka.revoke(bed.user, grant)
        code, text = bed.says(command)
        (error,) = errors_in(text)
        # The id that is taken is a longer one.
        assert (code, error.startswith(f"error: no ACL grants {right}")) == (ExitCode.CONFIGURATION, True), text
        assert f"--operation {right.split()[0].capitalize()} --" in text
        assert "Traceback" not in text
        bed.kafka.grant(bed.user, [grant])


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


@pytest.mark.long
def test_each_of_a_monitors_is_needed(bed: Bed) -> None:
    """So it is for a monitor, with labels too."""
    with_labels(bed)
    check_each_is_needed(bed, "monitor", as_monitor(bed))
    assert read_all(bed.kafka.bootstrap, f"{bed.topic}.drift-state") == []


@pytest.mark.long
def test_each_of_a_joiners_is_needed(bed: Bed) -> None:
    """And for a joiner."""
    with_labels(bed)
    check_each_is_needed(bed, "join", as_joiner(bed))
    assert read_all(bed.kafka.bootstrap, f"{bed.topic}.drift-sketches") == []


@pytest.mark.parametrize("command", ["monitor", "join"])
def test_the_others_without(bed: Bed, command: str) -> None:
    """A monitor and a joiner without any of their ACLs get the list of all that the broker can be asked for."""
    with_labels(bed)
    grants = as_monitor(bed) if command == "monitor" else as_joiner(bed)
    for grant in grants.values():
        bed.kafka.revoke(bed.user, grant)
    code, text = bed.says(command)
    assert code == ExitCode.CONFIGURATION, text
    assert errors_in(text) == all_named(grants)


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
    as_joiner(bed)
    with Fleet(bed.config) as fleet:
        joiner, sketches = fleet.start(module=("worker", "join")), f"{bed.topic}.drift-sketches"
        wait_until(
            lambda: any(codec.knows(r.value) for r in read_all(bed.kafka.bootstrap, sketches)) or not joiner.running, 60
        )
        assert fleet.stop(30) == [ExitCode.OK], joiner.last_words()
    as_monitor(bed)
    with Fleet(bed.config) as fleet:
        monitor, state = fleet.start(module=("worker", "monitor")), f"{bed.topic}.drift-state"
        wait_until(lambda: bool(read_all(bed.kafka.bootstrap, state)) or not monitor.running, 60)
        assert fleet.stop(30) == [ExitCode.OK], monitor.last_words()
