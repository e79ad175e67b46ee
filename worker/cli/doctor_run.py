"""The examination: check after check, each of which may fail without keeping the others from running."""

from __future__ import annotations

import logging
import platform
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from worker import __version__, bootstrap, bootstrap_quality
from worker.cli.options import settings_from
from worker.cli.verdicts import Judge
from worker.doctor import Finding
from worker.doctor.clock import judge_clock, judge_newest
from worker.doctor.cluster import judge_cluster
from worker.doctor.findings import error, of_error, ok, warning
from worker.doctor.group import judge_group, judge_joiners
from worker.doctor.permissions import judge_permissions
from worker.doctor.port import judge_port
from worker.doctor.records import judge_records
from worker.doctor.topics import Process, judge_topics, wanted_topics
from worker.errors import WorkerError
from worker.kafka.config import admin_config
from worker.kafka.facts import BrokerFacts, GroupFacts, client_version
from worker.kafka.needed_rights import looking_group, records_rights
from worker.kafka.probe import probe, try_transaction
from worker.kafka.resume import stopped_partitions
from worker.kafka.rights import lacking, missing_rights
from worker.kafka.spans import TopicReader
from worker.records import RecordBatch
from worker.registry.outputs import check_registry
from worker.settings import Settings


def examine(config: Path | None, probe_topic: str | None, records: int) -> Iterator[Finding]:
    """Every finding, in the order in which one would look. What is asked of a broker is left out when none answers."""
    # Findings say it better than log lines in between.
    logging.getLogger().addHandler(logging.NullHandler())
    yield ok("versions", f"prediction-worker {__version__}, Python {platform.python_version()}, {_libraries()}")
    try:
        settings = settings_from(config)
    except WorkerError as problem:
        yield from of_error("settings", problem)
        return
    yield ok("settings", f"group {settings.kafka.group} reads {settings.topics.input}, {settings.delivery.mode}")
    drift, kept = settings.drift.enabled is not False, settings.labels.horizon_seconds
    try:
        prepared = bootstrap.prepare(settings)
    except WorkerError as problem:
        yield from of_error("model", problem)
    else:
        drift = prepared.drift
        model = prepared.served_by
        yield ok("model", f"{model.name} {model.version} is intact, the schema feeds it, its golden rows agree")
        for text in prepared.warnings:
            yield warning("model", text, "see docs/model-bundle.md")
        if settings.labels.enabled:
            rules = yield from _labels(settings, drift=drift)
            kept = sum(rules) if rules else kept
    yield from judge_port(settings.telemetry.host, settings.telemetry.port)
    yield from _guarded("registry", _registry(settings))
    yield from _guarded("broker", _broker(settings, probe_topic, records, drift=drift, kept=kept))


def _labels(settings: Settings, *, drift: bool) -> Generator[Finding, None, tuple[int, int] | None]:
    """What a joiner makes of bundle and settings; for how long it needs a record: the horizon, and a grace."""
    try:
        prepared = bootstrap_quality.prepare_joiner(settings)
    except WorkerError as problem:
        yield from of_error("labels", problem)
        return None
    if not drift:
        fix = "leave drift.enabled out, or labels.horizon_seconds"
        yield error("labels", "labels are joined for the monitor, and there is none where drift.enabled is false", fix)
        return None
    _, horizon, grace = prepared.setting.rules_seconds
    yield ok(
        "labels",
        f"labels of {settings.topics.labels} are joined up to {horizon:,} s after their event; windows of quality close "
        f"{grace:,} s later",
    )
    return horizon, grace


def _broker(
    settings: Settings, probe_topic: str | None, records: int, *, drift: bool, kept: int | None
) -> Iterator[Finding]:
    facts = BrokerFacts(settings)
    cluster = facts.cluster()
    yield from judge_cluster(cluster, settings)
    wanted, started = wanted_topics(settings.topics, drift=drift, labels_kept_seconds=kept), _started(settings)
    topics = facts.topics([topic.name for topic in wanted])
    yield from judge_topics(wanted, topics, len(cluster.brokers), started)
    name, joiners = settings.kafka.group, settings.kafka.joiner_group
    group = facts.group(name)
    groups: dict[str, tuple[Process, GroupFacts]] = {name: ("worker", group)}
    if settings.labels.enabled and drift:
        groups[joiners] = ("joiner", facts.group(joiners))
    yield from judge_permissions(wanted, topics, groups, started)
    yield from _guarded("delivery", _delivery(settings, probe_topic))
    source = topics.get(settings.topics.input)
    if source is not None:
        stopped = stopped_partitions(settings) if group.allowed else []
        yield from judge_group(name, group, stopped)
        if joiners in groups:
            yield from judge_joiners(joiners, groups[joiners][1], group)
        newest = facts.newest_timestamp_ms(source.name, source.partitions)
        yield from judge_newest(source.name, newest, time.time(), settings.drift.skew_seconds)
        yield from _guarded("records", _records(settings, records))


def _started(settings: Settings) -> frozenset[Process]:
    """What `run` starts beside the workers, and does not go on without."""
    beside: dict[Process, bool] = {"monitor": settings.drift.monitor, "joiner": settings.labels.joiner}
    return frozenset(process for process, starts in beside.items() if starts)


def _delivery(settings: Settings, probe_topic: str | None) -> Iterator[Finding]:
    if probe_topic is not None:
        probed = probe(settings, probe_topic)
        yield ok("delivery", f"a record came through {probe_topic} and back in {probed.seconds * 1_000:,.0f} ms")
        yield from judge_clock(probed)
    elif settings.delivery.mode == "exactly-once":
        seconds = try_transaction(settings)
        yield ok(
            "delivery", f"a transaction was begun and aborted, its coordinator answers ({seconds * 1_000:,.0f} ms)"
        )


def _registry(settings: Settings) -> Iterator[Finding]:
    """Where writer schemas come from; that they can be read has been seen with the model. Raises WorkerError."""
    if settings.registry.url:
        check_registry(settings.registry)
        yield ok("registry", f"{settings.registry.url} answers")
    elif settings.event.framing == "raw":
        yield ok("registry", "none: values are bytes of the schema alone (event.framing is raw)")
    else:
        files = settings.event.schema_ids or settings.event.schema_file.parent / "ids.toml"
        yield ok("registry", f"none: schema ids are looked up in {files}" if files.exists() else "none is configured")


def _records(settings: Settings, count: int) -> Iterator[Finding]:
    if count == 0:
        return
    if missing := missing_rights(admin_config(settings), records_rights(settings)):
        why = lacking(missing)
        yield warning("records", f"the latest records may not be read: {why.message}", why.hint or "")
        return
    judge = Judge(settings.event, registry=settings.registry)
    topic = settings.topics.input
    with TopicReader(settings, topic, looking_group(settings, "doctor")) as reader:
        latest = reader.last(reader.spans(), count)
    verdicts = judge.judge(RecordBatch.of(latest)) if latest else []
    refused = Counter(str(verdict.refusal.reason) for verdict in verdicts if verdict.refusal is not None)
    yield from judge_records(topic, refused, len(verdicts), settings.dead_letters.max_ratio)


def _guarded(check: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """What a check finds; what ends it early is a finding, too."""
    try:
        yield from findings
    except WorkerError as problem:
        yield from of_error(check, problem)


def _libraries() -> str:
    return f"librdkafka {client_version()}, scikit-learn {version('scikit-learn')}"
