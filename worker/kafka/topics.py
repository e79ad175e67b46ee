"""Topics as the worker needs them: all there, and outputs with at least as many partitions as the input.

A prediction goes to its input's partition number, so that order per key holds. What is counted for drift is little, and
has one order for all workers: its topics need one partition, and only their first is written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource  # type: ignore[attr-defined]  # public, but not re-exported by name
from confluent_kafka.cimpl import NewPartitions, NewTopic

from worker.errors import ConfigurationError, TransportError
from worker.kafka.contact import FIRST_ANSWER_SECONDS, Contact, is_mock
from worker.kafka.errors import NOT_ALLOWED, client, error_of
from worker.kafka.rights import Right, lacking
from worker.settings import Topics

CREATE = "prediction-worker topics create"
Result = TypeVar("Result")
LETTER_ROOM_BYTES = 65_536  # the headers that a dead letter may have: its own, and those kept of its record


def partition_counts(config: Mapping[str, Any], topics: Iterable[str]) -> dict[str, int]:
    """Partitions of each topic that exists. Raises TransportError when no broker answers, ConfigurationError when it refuses us."""
    contact, names = Contact(config), list(topics)
    cluster = contact.cluster()
    known = {name: topic for name, topic in cluster.topics.items() if topic.error is None}
    hidden = [name for name in names if name not in known]
    if hidden and not is_mock(cluster):
        _check_absent(contact, hidden)
    return {name: len(known[name].partitions) for name in names if name in known}


def _check_absent(contact: Contact, names: list[str]) -> None:
    """Whether they are not there, or not shown to us: then ConfigurationError is raised."""
    futures = contact.admin.describe_topics(TopicCollection(names), request_timeout=FIRST_ANSWER_SECONDS)
    hidden = []
    for name, future in futures.items():
        try:
            contact.result(future)
        except KafkaException as exception:
            if error_of(exception).code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                hidden.append(Right(AclOperation.DESCRIBE, "topic", name))
    if hidden:
        raise lacking(hidden)


def needed_topics(topics: Topics, *, drift: bool) -> tuple[str, ...]:
    """Those that a worker reads and writes; ``drift``: it counts for drift."""
    return (topics.input, topics.predictions, topics.dead_letters, *([topics.drift_sketches] if drift else []))


def check_topics(counts: Mapping[str, int], topics: Topics, *, drift: bool = False) -> None:
    """Raises ConfigurationError with everything that is wrong with the topics."""
    outputs = {"predictions": topics.predictions, "dead letters": topics.dead_letters}
    problems = []
    if topics.input not in counts:
        problems.append(f"the input topic {topics.input} does not exist")
    for role, name in outputs.items():
        if name not in counts:
            problems.append(f"the topic {name} for {role} does not exist")
        elif counts[name] < counts.get(topics.input, 0):
            problems.append(
                f"the topic {name} for {role} has {_partitions(counts[name])}, fewer than the input's {counts[topics.input]}"
            )
    if drift and topics.drift_sketches not in counts:
        problems.append(f"the topic {topics.drift_sketches} for drift sketches does not exist")
    if problems:
        raise ConfigurationError(
            problems, hint=f"`{CREATE} --config FILE` creates missing topics and adds missing partitions"
        )


def monitor_topics(topics: Topics, *, labels: bool = False) -> dict[str, str]:
    """Those that a monitor reads and writes, by what they are to it; ``labels``: there are some."""
    needed = {
        "input": topics.input,
        "sketches": topics.drift_sketches,
        "reports": topics.drift_reports,
        "alerts": topics.drift_alerts,
        "state": topics.drift_state,
    }
    if labels:
        needed |= {"predictions": topics.predictions, "labels": topics.labels, "quality": topics.quality_reports}
    return needed


def check_monitor_topics(counts: Mapping[str, int], needed: Mapping[str, str]) -> None:
    """Raises ConfigurationError with every topic that a monitor needs and that is not there."""
    problems = _missing(counts, "monitor", needed)
    if problems:
        raise ConfigurationError(problems, hint=f"`{CREATE} --config FILE` creates missing topics")


def joiner_topics(topics: Topics) -> dict[str, str]:
    """Those that a joiner reads and writes, by what they are to it; of the input it counts the partitions."""
    return {
        "input": topics.input,
        "predictions": topics.predictions,
        "labels": topics.labels,
        "sketches": topics.drift_sketches,
    }


def check_joiner_topics(counts: Mapping[str, int], topics: Topics) -> None:
    """Raises ConfigurationError with everything that is wrong with the topics that a joiner needs.

    A prediction stands in its input's partition. Its label, with the same key, is in that of the same number if the topic of
    the labels has as many, and its producer the partitioner of the input's; the latter nobody can see from here.
    """
    problems = _missing(counts, "joiner", joiner_topics(topics))
    wanted, found = counts.get(topics.input), counts.get(topics.labels)
    if wanted is not None and found is not None and wanted != found:
        problems.append(
            f"the topic {topics.labels} for labels has {_partitions(found)}, the input {wanted}: labels would not be in the "
            "partitions of their predictions"
        )
    if problems:
        raise ConfigurationError(
            problems,
            hint=f"`{CREATE} --config FILE` creates missing topics; labels need as many partitions as the input",
        )


def _missing(counts: Mapping[str, int], role: str, needed: Mapping[str, str]) -> list[str]:
    return [
        f"the topic {name} for the {role}'s {what} does not exist"
        for what, name in needed.items()
        if name not in counts
    ]


def create_topics(
    config: Mapping[str, Any],
    topics: Topics,
    *,
    partitions: int,
    replication: int,
    drift: bool = False,
    labels: bool = False,
) -> list[str]:
    """Make the topics fit; what was done, a line each. What exists keeps its settings, and an input its partitions.

    A dead letter is larger than its record by its headers, so a new topic for them has a limit that is as much higher.
    """
    flow = (topics.input, topics.predictions, topics.dead_letters, *([topics.labels] if labels else []))
    of_drift = (topics.drift_sketches, topics.drift_reports, topics.drift_alerts, topics.drift_state)
    single = (*(of_drift if drift else ()), *([topics.quality_reports] if labels else []))
    counts = partition_counts(config, (*flow, *single))
    wanted = dict.fromkeys(flow, counts.get(topics.input, partitions)) | dict.fromkeys(single, 1)
    admin = client(AdminClient, config)
    done = []
    for name, count in wanted.items():
        if name not in counts:
            settings = _settings(admin, name, topics)
            new = NewTopic(name, num_partitions=count, replication_factor=replication, config=settings)
            _result(admin.create_topics([new])[name], Right(AclOperation.CREATE, "topic", name))
            done.append(f"created {name} with {_partitions(count)}")
        elif counts[name] < count:
            _result(
                admin.create_partitions([NewPartitions(name, count)])[name], Right(AclOperation.ALTER, "topic", name)
            )
            done.append(f"raised {name} from {counts[name]} to {_partitions(count)}")
    return done


def _result(future: Future[Result], needed: Right) -> Result:
    """Raises ConfigurationError where we lack what is needed, and TransportError."""
    try:
        return future.result()
    except KafkaException as exception:
        error = error_of(exception)
        if error.code() in NOT_ALLOWED:
            raise lacking([needed]) from None
        raise TransportError(f"topics could not be created: {error.str()}") from None


def _settings(admin: AdminClient, name: str, topics: Topics) -> dict[str, str]:
    """Those in which a new topic differs from the broker's defaults."""
    if name == topics.dead_letters:
        return {"max.message.bytes": str(_record_limit(admin, topics.input) + LETTER_ROOM_BYTES)}
    return {"cleanup.policy": "compact", "segment.bytes": "16777216"} if name == topics.drift_state else {}


def _record_limit(admin: AdminClient, topic: str) -> int:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    entries = _result(
        admin.describe_configs([resource])[resource], Right(AclOperation.DESCRIBE_CONFIGS, "topic", topic)
    )
    return int(entries["max.message.bytes"].value)


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"
