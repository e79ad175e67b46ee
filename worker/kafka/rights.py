"""What the broker lets us do, asked before anything is read or written, so that every ACL that is missing is named at once.

Found out one by one, each would cost a start, and some would show in mid-stream, as an aborted transaction. Brokers
without an authoriser let everybody do everything, and say so. Who needs what, ``needed_rights`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]  # public, but not re-exported by name

from worker.errors import ConfigurationError, TransportError
from worker.kafka.contact import FIRST_ANSWER_SECONDS, Contact, is_mock
from worker.kafka.errors import NOT_ALLOWED, error_of

Kind = Literal["topic", "group", "transactional id", "cluster"]
_ANYTHING = frozenset(AclOperation)
READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
CREATE, ALTER, DESCRIBE_CONFIGS = AclOperation.CREATE, AclOperation.ALTER, AclOperation.DESCRIBE_CONFIGS
THE_CLUSTER = "kafka-cluster"  # Kafka's own name for it


@dataclass(frozen=True, slots=True)
class Right:
    """READ, WRITE and ALTER imply DESCRIBE, as the broker sees it. ``prefixed``: for all names that begin so."""

    operation: AclOperation
    kind: Kind
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation.name} on {self.kind} {self.name}"


def check_rights(config: Mapping[str, Any], rights: Iterable[Right]) -> None:
    """Raises ConfigurationError with every right that we lack, and where the broker refuses us; TransportError."""
    if missing := missing_rights(config, rights):
        raise lacking(missing)


def missing_rights(config: Mapping[str, Any], rights: Iterable[Right]) -> list[Right]:
    """Those of topics and groups that we lack; of others, and of topics that don't exist, nobody can be asked.

    Raises ConfigurationError where the broker refuses us, and TransportError.
    """
    contact, wanted = Contact(config), tuple(rights)
    if is_mock(contact.cluster()):
        return []
    granted = _granted(contact, "topic", wanted) | _granted(contact, "group", wanted)
    return [right for right in wanted if right.operation not in granted.get((right.kind, right.name), _ANYTHING)]


def lacking(rights: Sequence[Right]) -> ConfigurationError:
    """The error that names them (at least one)."""
    return ConfigurationError([f"no ACL grants {right}" for right in rights], hint=_way_out(rights[0]))


def _granted(contact: Contact, kind: Kind, rights: Iterable[Right]) -> dict[tuple[Kind, str], frozenset[AclOperation]]:
    """What we may do with each; nothing at all is an empty set, and what the broker does not tell is left out."""
    names = sorted({right.name for right in rights if right.kind == kind})
    if not names:
        return {}
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
    operation = right.operation.name.replace("_", " ").title().replace(" ", "")
    resource = {
        "transactional id": "--transactional-id GROUP- --resource-pattern-type prefixed",
        "cluster": "--cluster",
    }.get(right.kind, f"--{right.kind} {right.name}")
    return (
        f"kafka-acls.sh --add --allow-principal User:NAME --operation {operation} {resource}; "
        "docs/security.md lists all that are needed"
    )
