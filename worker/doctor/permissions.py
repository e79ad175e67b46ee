"""What the broker's authoriser lets us do, as far as it says so.

It does for topics and groups. For the transactional id nobody can be asked: a transaction that is tried tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.doctor.findings import Finding, error, ok, warning
from worker.doctor.topics import Wanted
from worker.kafka.facts import GroupFacts, TopicFacts

CHECK = "permissions"
# Whoever may read or write a topic may describe it.
_IMPLIED = {"DESCRIBE": {"READ", "WRITE", "DELETE", "ALTER"}}


def judge_permissions(
    wanted: list[Wanted], facts: Mapping[str, TopicFacts | None], group: GroupFacts, group_name: str
) -> Iterator[Finding]:
    """What is missing, one line each, and which ACL gives it."""
    problems = [finding for topic in wanted if topic.name in facts for finding in _topic(topic, facts[topic.name])]
    if not group.allowed or (group.operations is not None and "READ" not in group.operations):
        problems.append(error(CHECK, f"the group {group_name} may not be joined", f"allow READ on group {group_name}"))
    told = [found.operations for found in facts.values() if found is not None]
    if problems:
        yield from problems
    elif not told or any(operations is None for operations in told):
        yield ok(CHECK, "the broker does not say what is permitted")
    else:
        yield ok(CHECK, f"all that is needed of {len(told)} topics and the group {group_name} is permitted")


def _topic(topic: Wanted, found: TopicFacts | None) -> Iterator[Finding]:
    if found is None:
        hidden = error if topic.operations else warning
        text = f"{topic.name} ({topic.role}) may not even be described"
        yield hidden(CHECK, text, _fix(topic, topic.operations or topic.monitor))
        return
    if lacking := _lacking(topic.operations, found.operations):
        yield error(CHECK, f"the worker may not {_verbs(lacking)} {topic.name} ({topic.role})", _fix(topic, lacking))
    if lacking := _lacking(topic.monitor, found.operations):
        yield warning(CHECK, f"a monitor may not {_verbs(lacking)} {topic.name} ({topic.role})", _fix(topic, lacking))


def _lacking(needed: frozenset[str], given: frozenset[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    return frozenset(one for one in needed if not given & ({one, "ALL"} | _IMPLIED.get(one, set())))


def _verbs(operations: frozenset[str]) -> str:
    return " or ".join(sorted(operations)).lower()


def _fix(topic: Wanted, operations: frozenset[str]) -> str:
    return f"allow {' and '.join(sorted(operations))} on topic {topic.name}"
