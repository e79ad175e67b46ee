"""Least privilege for people's commands, one by one: exactly what docs/security.md lists, and each of it taken away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Position

from tests.component.worker_rig import event
from tests.integration.security.bed import OUTPUTS, Bed, become, grants_of
from tests.support.kafka import produce_all, read_all
from tests.support.secured import Grant
from worker.broker.topics import create_topics
from worker.errors import ExitCode
from worker.kafka import needed_rights as needed
from worker.pipeline.dead_letters import DeadLetterPolicy
from worker.pipeline.partition_state import Counters, PartitionState
from worker.records import Reason, Record, RecordBatch, Refusal, Refusals, Stage
from worker.settings import Settings

Needs = Callable[[Settings], needed.Rights]


@dataclass(frozen=True)
class Command:
    """``optional``: what it may not see it says, and goes on; ``shows``: what it prints of what it may see.

    ``labels``: with labels, and their topics.
    """

    words: tuple[str, ...]
    needs: Needs
    shows: str
    optional: Needs = lambda _: ()
    labels: bool = False


def top_extras(settings: Settings) -> needed.Rights:
    letters, alerts = needed.top_letters_rights(settings), needed.top_alerts_rights(settings)
    return tuple(dict.fromkeys((*letters, *alerts)))


def top_extras_with_labels(settings: Settings) -> needed.Rights:
    quality, joiners = needed.top_quality_rights(settings), needed.top_joiners_rights(settings)
    return tuple(dict.fromkeys((*top_extras(settings), *quality, *joiners)))


COMMANDS = {
    "inspect": Command(("inspect", "--json"), needed.inspect_rights, '"offset": 2'),
    "drift report": Command(("drift", "report"), needed.report_rights, "no window"),
    "drift replay": Command(("drift", "replay"), needed.drift_replay_rights, "0 episodes in 0 windows"),
    "dlq list": Command(("dlq", "list"), needed.letters_rights, "malformed", needed.stopped_rights),
    "dlq show": Command(("dlq", "show", "0:0"), needed.letters_rights, "malformed"),
    "dlq replay --dry-run": Command(
        ("dlq", "replay", "--dry-run"), needed.letters_rights, "would replay 1 dead letter"
    ),
    "dlq replay": Command(("dlq", "replay", "--yes", "--from-start"), needed.replay_rights, "replayed 1 of 1"),
    "dlq resume": Command(("dlq", "resume", "--yes"), needed.resume_rights, "resumed 1 partition"),
    "top": Command(("top", "--once", "--interval", "0.2"), needed.top_rights, "lag ", top_extras),
    "top with labels": Command(
        ("top", "--once", "--interval", "0.2"), needed.top_rights, "lag ", top_extras_with_labels, labels=True
    ),
}


def fill(bed: Bed) -> None:
    """Three events, a dead letter of a fourth, a stopped partition, and records of others where drift is looked for."""
    settings, administrator = bed.read_settings, bed.kafka.bootstrap
    bed.write(0, 3)
    refused = RecordBatch.of([Record(bed.topic, 0, 3, 1_700_000_000_000, b"k", b"no Avro")])
    policy = DeadLetterPolicy(settings.topics.dead_letters, settings.kafka.group, "1", "loans 1.0.0")
    out = policy.letters(refused, Refusals.of([Refusal(0, Stage.DECODE, Reason.MALFORMED, "a rule")]))
    produce_all(administrator, out.topic, [Record(out.topic, 0, -1, 0, out.keys[0], out.values[0], out.headers[0])])
    for name in ("drift-sketches", "drift-reports", "drift-alerts"):
        produce_all(administrator, f"{bed.topic}.{name}", [event(b"somebody else's")])
    stop(bed)


def with_labels(bed: Bed) -> None:
    bed.settings["labels"] = {"horizon_seconds": 3_600}
    create_topics(bed.kafka.bootstrap, {f"{bed.topic}.{name}": 1 for name in ("labels", "quality-reports")})


def stop(bed: Bed) -> None:
    """As a dead-letter limit stops the partition."""
    consumer = Consumer({"bootstrap.servers": bed.kafka.bootstrap, "group.id": bed.group, "log_level": 0})
    try:
        state = PartitionState("d", Counters(9, 9, 9, "9 refused in a row"))
        consumer.commit(offsets=[Position(bed.topic, 0, 3, state.text())], asynchronous=False)
    finally:
        consumer.close()


def without(bed: Bed, grants: dict[str, Grant]) -> Iterator[str]:
    """Each of them in turn, while it is taken away."""
    for right, grant in grants.items():
        bed.kafka.revoke(bed.user, grant)
        yield right
        bed.kafka.grant(bed.user, [grant])


def check(bed: Bed, command: Command) -> None:
    fill(bed)
    if command.labels:
        with_labels(bed)
    must, may = grants_of(command.needs(bed.read_settings)), grants_of(command.optional(bed.read_settings))
    become(bed, "person", must | may)
    for right in without(bed, must):
        code, text = bed.ran(*command.words)
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        assert (code, errors) == (ExitCode.CONFIGURATION, [f"error: no ACL grants {right}"]), text
        assert f"--operation {right.split()[0].capitalize()} --" in text
    for right in without(bed, may):
        code, text = bed.ran(*command.words)
        assert code == ExitCode.OK, text
        assert f"no ACL grants {right}" in text
        assert command.shows in text
    code, text = bed.ran(*command.words)
    assert (code, command.shows in text, "ACL" in text) == (ExitCode.OK, True, False), text


def test_of_one(bed: Bed) -> None:
    """What a command can't do without ends it with one line that names it; what it can do without, it names, and goes on."""
    check(bed, COMMANDS["dlq list"])


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"dlq list"}))
def test_of_each(bed: Bed, name: str) -> None:
    """So it is for all of them."""
    check(bed, COMMANDS[name])


@pytest.mark.long
def test_nothing_is_replayed_without(bed: Bed) -> None:
    """A replay that may not write to the input leaves no progress behind, so that a later one does it all."""
    fill(bed)
    grants = grants_of(needed.replay_rights(bed.read_settings))
    become(bed, "person", grants)
    written = grants[f"WRITE on topic {bed.topic}"]
    bed.kafka.revoke(bed.user, written)
    assert bed.ran("dlq", "replay", "--yes")[0] == ExitCode.CONFIGURATION
    bed.kafka.grant(bed.user, [written])
    assert "replayed 1 of 1" in bed.ran("dlq", "replay", "--yes")[1]
    assert len(read_all(bed.kafka.bootstrap, bed.topic)) == 4


def anew(bed: Bed) -> None:
    """Settings whose topics are not there yet."""
    bed.topic = f"{bed.topic}-new"
    bed.settings["labels"] = {"horizon_seconds": 3_600}


def made(bed: Bed, lacking: dict[str, Grant]) -> None:
    """Ask for topics without any of these rights, and be granted what is named, until they are there."""
    while lacking:
        code, text = bed.ran("topics", "create", "--partitions", "2")
        named = {line.removeprefix("error: no ACL grants ") for line in text.splitlines() if line.startswith("error: ")}
        assert (code, bool(named), named - lacking.keys()) == (ExitCode.CONFIGURATION, True, set()), text
        bed.kafka.grant(bed.user, [lacking.pop(right) for right in named])
    code, text = bed.ran("topics", "create")
    assert (code, bed.topic in text) == (ExitCode.OK, True), text
    assert bed.ran("topics", "create") == (ExitCode.OK, "nothing to do: all topics are there\n")


def test_topics_create(bed: Bed) -> None:
    """Whoever has none of the rights is told of every one of them, and of no other, and has the topics in the end."""
    anew(bed)
    become(bed, "maker", {})
    made(bed, grants_of(needed.created_topics_rights(bed.read_settings)))


@pytest.mark.long
def test_topics_widened(bed: Bed) -> None:
    """Outputs with fewer partitions than the input need one right more."""
    anew(bed)
    create_topics(bed.kafka.bootstrap, {bed.topic: 2})
    create_topics(bed.kafka.bootstrap, dict.fromkeys([f"{bed.topic}.{n}" for n in (*OUTPUTS, "labels")], 1))
    become(bed, "maker", grants_of(needed.created_topics_rights(bed.read_settings)))
    made(bed, grants_of(needed.widened_topics_rights(bed.read_settings)))


def found(bed: Bed) -> tuple[int, list[dict[str, str]]]:
    """The exit code of ``doctor``, and what is not well."""
    code, text = bed.ran("doctor", "--json")
    findings = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return code, [one for one in findings if one["level"] != "ok" and one["check"] != "model"]


@pytest.mark.long
def test_doctor(bed: Bed) -> None:
    """With a worker's rights and its own it sees everything; each that is missing is a finding: an error if the worker
    would not start, a warning if the doctor sees less.
    """
    bed.write(0, 3)
    own = grants_of(needed.doctor_rights(bed.read_settings, drift=True))
    bed.kafka.grant(bed.user, own.values())
    code, complaints = found(bed)
    assert code == ExitCode.OK, [one for one in complaints if one["level"] == "error"]
    # What only a monitor does, a worker's account may not.
    permissions = [one["text"] for one in complaints if one["check"] == "permissions"]
    assert {text.split(" may not ")[0] for text in permissions} == {"a monitor"}
    for right in without(bed, own):
        code, less = found(bed)
        assert code == ExitCode.OK, right
        (told, *_) = [one for one in less if one not in complaints]
        assert right in told["fix"] or right.split()[-1] in told["text"], (right, told)
    for right in without(bed, bed.worker_grants()):
        code, less = found(bed)
        errors = " ".join(f"{one['text']} {one['fix']}" for one in less if one["level"] == "error")
        assert (code, right in errors) == (1, True), (right, less)
