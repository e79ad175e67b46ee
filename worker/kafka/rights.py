"""What the broker lets us do, asked before anything is consumed, so that every ACL that is missing is named at once.

Found out one by one, each would cost a start, and some would show in mid-stream, as an aborted transaction. Brokers
without an authoriser let everybody do everything, and say so. ``docs/security.md`` has the whole of it in a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]  # public, but not re-exported by name

from worker.errors import ConfigurationError, TransportError
from worker.kafka.contact import FIRST_ANSWER_SECONDS, Contact, is_mock
from worker.kafka.errors import NOT_ALLOWED, error_of
from worker.kafka.pair_source import joiner_group
from worker.kafka.sketch_source import monitor_group
from worker.kafka.state_log import state_group
from worker.settings import Settings

Kind = Literal["topic", "group"]
_ANYTHING = frozenset(AclOperation)
READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE


@dataclass(frozen=True, slots=True)
class Right:
    """READ and WRITE imply DESCRIBE, as the broker sees it."""

    operation: AclOperation
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.operation.name} on {self.kind} {self.name}"


def worker_rights(settings: Settings, *, drift: bool) -> tuple[Right, ...]:
    """Of ``run``, besides the transactional ids: the broker can only be asked by taking one."""
    topics = settings.topics
    outputs = (topics.predictions, topics.dead_letters, *([topics.drift_sketches] if drift else []))
    return (
        Right(READ, "topic", topics.input),
        *(Right(WRITE, "topic", name) for name in outputs),
        Right(READ, "group", settings.kafka.group),
    )


def monitor_rights(settings: Settings) -> tuple[Right, ...]:
    """Of ``monitor``, likewise."""
    topics, group, labels = settings.topics, settings.kafka.group, settings.labels.enabled
    written = (topics.drift_reports, topics.drift_alerts, topics.drift_state)
    of_labels = (
        Right(WRITE, "topic", topics.quality_reports),
        *(Right(DESCRIBE, "topic", name) for name in (topics.predictions, topics.labels)),
        Right(DESCRIBE, "group", joiner_group(group)),
    )
    return (
        *(Right(READ, "topic", name) for name in (topics.input, topics.drift_sketches, topics.drift_state)),
        *(Right(WRITE, "topic", name) for name in written),
        Right(READ, "group", monitor_group(group)),
        *(Right(DESCRIBE, "group", name) for name in (group, state_group(group))),
        *(of_labels if labels else ()),
    )


def joiner_rights(settings: Settings) -> tuple[Right, ...]:
    """Of ``join``, likewise."""
    topics = settings.topics
    return (
        *(Right(READ, "topic", name) for name in (topics.predictions, topics.labels)),
        Right(DESCRIBE, "topic", topics.input),
        Right(WRITE, "topic", topics.drift_sketches),
        Right(READ, "group", joiner_group(settings.kafka.group)),
    )


def check_rights(config: Mapping[str, Any], rights: Iterable[Right]) -> None:
    """Raises ConfigurationError with every right that we lack, and where the broker refuses us; TransportError."""
    contact, wanted = Contact(config), tuple(rights)
    if is_mock(contact.cluster()):
        return
    granted = _granted(contact, "topic", wanted) | _granted(contact, "group", wanted)
    lacking = [right for right in wanted if right.operation not in granted.get((right.kind, right.name), _ANYTHING)]
    if lacking:
        raise ConfigurationError([f"no ACL grants {right}" for right in lacking], hint=_way_out(lacking[0]))


def _granted(contact: Contact, kind: Kind, rights: Iterable[Right]) -> dict[tuple[Kind, str], frozenset[AclOperation]]:
    """What we may do with each; nothing at all is an empty set, and what the broker does not tell is left out."""
    names = sorted({right.name for right in rights if right.kind == kind})
    options: dict[str, Any] = {"include_authorized_operations": True, "request_timeout": FIRST_ANSWER_SECONDS}
    if kind == "topic":
        futures = contact.admin.describe_topics(TopicCollection(names), **options)
    else:
        futures = contact.admin.describe_consumer_groups(names, **options)
    found: dict[tuple[Kind, str], frozenset[AclOperation]] = {}
    for name, future in futures.items():
        try:
            may = contact.result(future).authorized_operations
        except KafkaException as exception:
            # Of other errors, a missing topic among them, whoever uses the thing has more to say.
            if error_of(exception).code() in NOT_ALLOWED:
                found[kind, name] = frozenset()
        except TransportError:
            if kind == "topic":
                raise
            # Topics were answered for, so a broker is there; a group's coordinator may still be on its way.
        else:
            if may:
                found[kind, name] = frozenset(may)
    return found


def _way_out(right: Right) -> str:
    return (
        f"kafka-acls.sh --add --allow-principal User:NAME --operation {right.operation.name.capitalize()} "
        f"--{right.kind} {right.name}; docs/security.md lists all that are needed"
    )
