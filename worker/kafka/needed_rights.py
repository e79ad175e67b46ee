"""Who needs which rights, role by role and command by command: exactly what docs/security.md lists, as a test compares.

The three roles run for long and have accounts of their own; the commands are people's, and most of them only look.
"""

from __future__ import annotations

from collections.abc import Iterable

from worker.kafka.dead_letter_topic import replay_group
from worker.kafka.rights import (
    ALTER,
    CREATE,
    DESCRIBE,
    DESCRIBE_CONFIGS,
    READ,
    THE_CLUSTER,
    WRITE,
    Right,
)
from worker.kafka.sketch_source import monitor_group
from worker.kafka.state_log import state_group
from worker.settings import Settings

Rights = tuple[Right, ...]


def worker_rights(settings: Settings, *, drift: bool) -> Rights:
    """Of ``run``; ``drift``: it counts for it."""
    topics, group = settings.topics, settings.kafka.group
    outputs = (topics.predictions, topics.dead_letters, *([topics.drift_sketches] if drift else []))
    transactional = settings.delivery.mode == "exactly-once"
    return (
        Right(READ, "topic", topics.input),
        *(Right(WRITE, "topic", name) for name in outputs),
        Right(READ, "group", group),
        *(_transactional(group) if transactional else ()),
    )


def monitor_rights(settings: Settings) -> Rights:
    """Of ``monitor``, with labels where there are some."""
    topics, group, labels = settings.topics, settings.kafka.group, settings.labels.enabled
    written = (topics.drift_reports, topics.drift_alerts, topics.drift_state)
    of_labels = (
        Right(WRITE, "topic", topics.quality_reports),
        *(Right(DESCRIBE, "topic", name) for name in (topics.predictions, topics.labels)),
        Right(DESCRIBE, "group", settings.kafka.joiner_group),
    )
    return (
        *(Right(READ, "topic", name) for name in (topics.input, topics.drift_sketches, topics.drift_state)),
        *(Right(WRITE, "topic", name) for name in written),
        Right(READ, "group", monitor_group(group)),
        *(Right(DESCRIBE, "group", name) for name in (group, state_group(group))),
        *_transactional(monitor_group(group)),
        *(of_labels if labels else ()),
    )


def joiner_rights(settings: Settings) -> Rights:
    """Of ``join``."""
    topics, group = settings.topics, settings.kafka.joiner_group
    return (
        *(Right(READ, "topic", name) for name in (topics.predictions, topics.labels)),
        Right(DESCRIBE, "topic", topics.input),
        Right(WRITE, "topic", topics.drift_sketches),
        Right(READ, "group", group),
        *_transactional(group),
    )


def inspect_rights(settings: Settings, topic: str | None = None) -> Rights:
    """``topic``: the input where it is None."""
    return _looking([topic or settings.topics.input], looking_group(settings, "inspect"))


def letters_rights(settings: Settings) -> Rights:
    """Of ``dlq list``, ``dlq show`` and ``dlq replay --dry-run``."""
    return _looking([settings.topics.dead_letters], replay_group(settings.kafka.group))


def stopped_rights(settings: Settings) -> Rights:
    """To see which partitions a limit has stopped: ``dlq list`` does without, and says so."""
    return Right(DESCRIBE, "topic", settings.topics.input), Right(DESCRIBE, "group", settings.kafka.group)


def replay_rights(settings: Settings) -> Rights:
    """Of ``dlq replay``."""
    topics, group = settings.topics, settings.kafka.group
    return (
        Right(READ, "topic", topics.dead_letters),
        Right(WRITE, "topic", topics.input),
        Right(READ, "group", replay_group(group)),
        Right(WRITE, "transactional id", f"{group}-replay"),
    )


def resume_rights(settings: Settings) -> Rights:
    """Of ``dlq resume``: it commits, as a worker does."""
    return Right(READ, "topic", settings.topics.input), Right(READ, "group", settings.kafka.group)


def report_rights(settings: Settings) -> Rights:
    """Of ``drift report``."""
    topics = settings.topics
    quality = [topics.quality_reports] if settings.labels.enabled else []
    return _looking([topics.drift_reports, topics.drift_alerts, *quality], looking_group(settings, "drift-report"))


def drift_replay_rights(settings: Settings) -> Rights:
    """Of ``drift replay``, which counts the partitions of the input."""
    topics = settings.topics
    looking = _looking([topics.drift_sketches], looking_group(settings, "drift-replay"))
    return (*looking, Right(DESCRIBE, "topic", topics.input))


def top_rights(settings: Settings) -> Rights:
    """Of ``top``: without these it does not start."""
    return stopped_rights(settings)


def top_letters_rights(settings: Settings) -> Rights:
    """For what ``top`` shows of dead letters: it does without, and says so."""
    return _looking([settings.topics.dead_letters], looking_group(settings, "top"))


def top_alerts_rights(settings: Settings) -> Rights:
    """For what ``top`` shows of drift, likewise."""
    return _looking([settings.topics.drift_alerts], looking_group(settings, "top"))


def top_quality_rights(settings: Settings) -> Rights:
    """For what ``top`` shows of realised quality, likewise."""
    return _looking([settings.topics.quality_reports], looking_group(settings, "top"))


def top_joiners_rights(settings: Settings) -> Rights:
    """For what ``top`` shows of the joiners, likewise."""
    topics, group = settings.topics, settings.kafka.joiner_group
    described = (Right(DESCRIBE, "topic", name) for name in (topics.predictions, topics.labels))
    return (*described, Right(DESCRIBE, "group", group))


def created_topics_rights(settings: Settings) -> Rights:
    """Of ``topics create``, to make what is missing."""
    topics, labels = settings.topics, settings.labels.enabled
    drift = (topics.drift_sketches, topics.drift_reports, topics.drift_alerts, topics.drift_state)
    names = (
        *(topics.input, topics.predictions, topics.dead_letters),
        *(drift if settings.drift.enabled is not False else ()),
        *((topics.labels, topics.quality_reports) if labels else ()),
    )
    made = (Right(operation, "topic", name) for name in names for operation in (DESCRIBE, CREATE))
    return (*made, Right(DESCRIBE_CONFIGS, "topic", topics.input))


def widened_topics_rights(settings: Settings) -> Rights:
    """Of ``topics create``, where outputs have fewer partitions than the input."""
    topics = settings.topics
    names = (topics.predictions, topics.dead_letters, *([topics.labels] if settings.labels.enabled else []))
    return tuple(Right(ALTER, "topic", name) for name in names)


def records_rights(settings: Settings) -> Rights:
    """To look at the latest records: ``doctor`` does without, and says so."""
    return _looking([settings.topics.input], looking_group(settings, "doctor"))


def doctor_rights(settings: Settings, *, drift: bool) -> Rights:
    """Of ``doctor`` beside the worker's own: it does without each, and says so."""
    topics = settings.topics
    labels = drift and settings.labels.enabled
    flow = (topics.input, topics.predictions, topics.dead_letters)
    of_monitor = (topics.drift_reports, topics.drift_alerts, topics.drift_state) if drift else ()
    of_labels = (topics.labels, topics.quality_reports) if labels else ()
    looked_at = (*flow, *((topics.drift_sketches,) if drift else ()), *of_monitor, *of_labels)
    return (
        *(Right(DESCRIBE, "topic", name) for name in (*of_monitor, *of_labels)),
        *(Right(DESCRIBE_CONFIGS, "topic", name) for name in looked_at),
        Right(DESCRIBE_CONFIGS, "cluster", THE_CLUSTER),
        Right(DESCRIBE, "group", looking_group(settings, "doctor")),
        *((Right(DESCRIBE, "group", settings.kafka.joiner_group),) if labels else ()),
    )


def looking_group(settings: Settings, command: str) -> str:
    """The group under which a command reads; nobody ever joins it."""
    return f"{settings.kafka.group}.{command}"


def _looking(topics: Iterable[str], group: str) -> Rights:
    return (*(Right(READ, "topic", name) for name in topics), Right(DESCRIBE, "group", group))


def _transactional(group: str) -> Rights:
    """One id a process, of group, host and slot."""
    return (Right(WRITE, "transactional id", f"{group}-", prefixed=True),)
