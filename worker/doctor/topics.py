"""Topics: all there, enough partitions, replicas and room, and nothing that deletes what is still needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from worker.doctor.findings import Finding, error, ok, warning
from worker.kafka.facts import TopicFacts
from worker.kafka.topics import CREATE, LETTER_ROOM_BYTES
from worker.settings import Topics

CHECK = "topics"
Process = Literal["worker", "monitor", "joiner"]
_DAY_MS = 86_400_000
_ALTER = "kafka-configs.sh --bootstrap-server BROKER --alter --entity-type topics --entity-name"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic of the settings.

    ``partitions``: at least as many as the input's, exactly as many, or one. ``compacted``: only its latest values count.
    ``worker``, ``monitor`` and ``joiner``: what each does with it. ``kept_seconds``: what it must keep records for.
    """

    role: str
    name: str
    partitions: Literal["input", "same", "one"]
    compacted: bool = False
    worker: frozenset[str] = frozenset()
    monitor: frozenset[str] = frozenset()
    joiner: frozenset[str] = frozenset()
    kept_seconds: int = 0

    def uses(self) -> dict[Process, frozenset[str]]:
        """Who does what with it, the worker first."""
        uses: dict[Process, frozenset[str]] = {"worker": self.worker, "monitor": self.monitor, "joiner": self.joiner}
        return {process: operations for process, operations in uses.items() if operations}


def wanted_topics(topics: Topics, *, drift: bool, labels_kept_seconds: int | None = None) -> list[Wanted]:
    """Those of the worker and, where it counts for drift, of the monitor; the input comes first.

    With ``labels_kept_seconds``, for which predictions and labels are read again, those of the joiner, too.
    """
    read, write, both, describe = map(frozenset, ({"READ"}, {"WRITE"}, {"READ", "WRITE"}, {"DESCRIBE"}))
    flow = [
        Wanted("input", topics.input, "input", worker=read, monitor=describe),
        Wanted("predictions", topics.predictions, "input", worker=write),
        Wanted("dead letters", topics.dead_letters, "input", worker=write),
    ]
    if not drift:
        return flow
    found = [
        *flow,
        Wanted("drift sketches", topics.drift_sketches, "one", worker=write, monitor=read),
        Wanted("drift reports", topics.drift_reports, "one", monitor=write),
        Wanted("drift alerts", topics.drift_alerts, "one", monitor=write),
        Wanted("drift state", topics.drift_state, "one", compacted=True, monitor=both),
    ]
    if labels_kept_seconds is None:
        return found
    kept = labels_kept_seconds
    found[0] = replace(found[0], joiner=describe)
    found[1] = replace(found[1], joiner=read, monitor=describe, kept_seconds=kept)
    found[3] = replace(found[3], joiner=write)
    return [
        *found,
        Wanted("labels", topics.labels, "same", joiner=read, monitor=describe, kept_seconds=kept),
        Wanted("quality reports", topics.quality_reports, "one", monitor=write),
    ]


def level_for(processes: Iterable[Process], started: frozenset[Process]) -> Callable[[str, str, str], Finding]:
    """How bad it is when these lack something: an error of the worker, and of what ``run`` starts beside it."""
    return error if started.union({"worker"}).intersection(processes) else warning


def judge_topics(
    wanted: list[Wanted],
    facts: Mapping[str, TopicFacts | None],
    brokers: int,
    started: frozenset[Process] = frozenset(),
) -> Iterator[Finding]:
    """Of each topic what is wrong, or what it is. One that may not be described is the business of ``permissions``.

    ``started``: what `run` starts beside the workers.
    """
    source = facts.get(wanted[0].name)
    for topic in wanted:
        if topic.name not in facts:
            yield _missing(topic, started)
            continue
        found = facts[topic.name]
        if found is None:
            continue
        problems = [
            *_partitions(topic, found, source, started),
            *_replicas(found, brokers),
            *_settings(topic, found, source),
        ]
        yield from problems or [ok(CHECK, _told(topic, found))]


def _missing(topic: Wanted, started: frozenset[Process]) -> Finding:
    processes = list(topic.uses())
    needed = "joiner" if topic.role == "labels" else processes[0]
    text = f"{topic.name} ({topic.role}) does not exist, and the {needed} needs it"
    return level_for(processes, started)(CHECK, text, f"`{CREATE}` makes what is missing")


def _partitions(
    topic: Wanted, found: TopicFacts, source: TopicFacts | None, started: frozenset[Process]
) -> Iterator[Finding]:
    if source is not None and topic.partitions == "same" and found.partitions != source.partitions:
        few = found.partitions < source.partitions
        yield level_for(["joiner"], started)(
            CHECK,
            f"{topic.name} has {found.partitions} partitions, the input {source.partitions}: labels would not be in the "
            "partitions of their predictions, and the joiner refuses that",
            f"`{CREATE}` adds what is missing" if few else f"make it anew with {source.partitions} partitions",
        )
    if source is not None and topic.partitions == "input" and found.partitions < source.partitions:
        yield error(
            CHECK,
            f"{topic.name} has {found.partitions} partitions, fewer than the input's {source.partitions}",
            f"`{CREATE}` adds what is missing",
        )
    if found.offline:
        yield error(
            CHECK,
            f"{topic.name}: {found.offline} of {found.partitions} partitions have no leader",
            "start the brokers that hold them",
        )


def _replicas(found: TopicFacts, brokers: int) -> Iterator[Finding]:
    name, replicas = found.name, found.replication
    in_sync = _number(found, "min.insync.replicas", 1)
    if in_sync > replicas:
        yield error(
            CHECK,
            f"{name}: min.insync.replicas is {in_sync}, with {replicas} replicas nothing can be written",
            f"`{_ALTER} {name} --add-config min.insync.replicas={max(1, replicas - 1)}`, or add replicas",
        )
    elif in_sync == replicas > 1:
        yield warning(
            CHECK,
            f"{name}: with one of its {replicas} brokers down nothing can be written (min.insync.replicas {in_sync})",
            f"`{_ALTER} {name} --add-config min.insync.replicas={replicas - 1}`, or add replicas",
        )
    if replicas == 1 < brokers:
        yield warning(
            CHECK, f"{name} has one replica: with its broker gone it is gone", "raise its replication factor to 3"
        )
    if found.behind:
        yield warning(
            CHECK, f"{name}: {found.behind} partitions have replicas that are not in sync", "look at the brokers' logs"
        )


def _settings(topic: Wanted, found: TopicFacts, source: TopicFacts | None) -> Iterator[Finding]:
    if found.settings is None:
        yield warning(
            CHECK,
            f"{topic.name}: its settings may not be read, so they were not checked",
            f"allow DESCRIBE_CONFIGS on topic {topic.name}",
        )
        return
    policy = found.settings.get("cleanup.policy", "delete")
    if topic.compacted and "compact" not in policy:
        yield error(
            CHECK,
            f"{topic.name}: cleanup.policy is {policy}, so that what the monitor remembers will be deleted",
            f"`{_ALTER} {topic.name} --add-config cleanup.policy=compact`",
        )
    elif not topic.compacted and "compact" in policy:
        yield warning(
            CHECK,
            f"{topic.name}: cleanup.policy is {policy}, so that of the records of one key the older ones vanish",
            f"`{_ALTER} {topic.name} --add-config cleanup.policy=delete`",
        )
    kept_ms = _number(found, "retention.ms", -1)
    if not topic.compacted and 0 <= kept_ms < _DAY_MS and policy == "delete":
        yield warning(
            CHECK,
            f"{topic.name}: records are deleted after {kept_ms / 3_600_000:.1f} h, read or not",
            f"`{_ALTER} {topic.name} --add-config retention.ms=604800000`",
        )
    if not topic.compacted and 0 <= kept_ms < topic.kept_seconds * 1_000 and "delete" in policy:
        yield warning(
            CHECK,
            f"{topic.name}: records are deleted after {kept_ms / 3_600_000:.1f} h, and the joiner needs them for "
            f"{topic.kept_seconds / 3_600:.1f} h (labels.horizon_seconds and a grace)",
            f"`{_ALTER} {topic.name} --add-config retention.ms={topic.kept_seconds * 2_000}`, or lower the horizon",
        )
    yield from _room(topic, found, source)


def _room(topic: Wanted, found: TopicFacts, source: TopicFacts | None) -> Iterator[Finding]:
    """A dead letter is its record and the headers beside it."""
    if topic.role != "dead letters" or source is None or source.settings is None:
        return
    needed, there = _number(source, "max.message.bytes", 0) + LETTER_ROOM_BYTES, _number(found, "max.message.bytes", 0)
    if there < needed:
        yield warning(
            CHECK,
            f"{topic.name}: max.message.bytes is {there}, too little for the largest record with its headers",
            f"`{_ALTER} {topic.name} --add-config max.message.bytes={needed}`",
        )


def _told(topic: Wanted, found: TopicFacts) -> str:
    count = "1 partition" if found.partitions == 1 else f"{found.partitions} partitions"
    replicas = "1 replica" if found.replication == 1 else f"{found.replication} replicas"
    kept_ms = _number(found, "retention.ms", -1)
    kept = "compacted" if topic.compacted else "kept for ever" if kept_ms < 0 else f"kept {kept_ms / _DAY_MS:.3g} days"
    in_sync, room = _number(found, "min.insync.replicas", 1), _number(found, "max.message.bytes", 0)
    return f"{topic.name} ({topic.role}): {count}, {replicas} ({in_sync} in sync), {kept}, records to {room:,} bytes"


def _number(found: TopicFacts, name: str, default: int) -> int:
    text = (found.settings or {}).get(name, "")
    return int(text) if text.lstrip("-").isdigit() else default
