"""What the broker's authoriser lets us do, as far as it says so.

It does for topics and groups. For the transactional id nobody can be asked: a transaction that is tried tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.doctor.findings import Finding, ok
from worker.doctor.topics import Process, Wanted, level_for
from worker.kafka.facts import GroupFacts, TopicFacts

CHECK = "permissions"
# Whoever may read or write a topic may describe it.
_IMPLIED = {"DESCRIBE": {"READ", "WRITE", "DELETE", "ALTER"}}


def judge_permissions(
    wanted: list[Wanted],
    facts: Mapping[str, TopicFacts | None],
    groups: Mapping[str, tuple[Process, GroupFacts]],
    started: frozenset[Process] = frozenset(),
) -> Iterator[Finding]:
    """What is missing, one line each, and which ACL gives it.

    ``groups``: by name, whose group each is. ``started``: what `run` starts beside the workers.
    """
    problems = [
        finding for topic in wanted if topic.name in facts for finding in _topic(topic, facts[topic.name], started)
    ]
    for name, (process, group) in groups.items():
        if not group.allowed or (group.operations is not None and "READ" not in group.operations):
            level = level_for([process], started)
            problems.append(
                level(CHECK, f"the {process}'s group {name} may not be joined", f"allow READ on group {name}")
            )
    told = [found.operations for found in facts.values() if found is not None]
    if problems:
        yield from problems
    elif not told or any(operations is None for operations in told):
        yield ok(CHECK, "the broker does not say what is permitted")
    else:
        said = f"the {'group' if len(groups) == 1 else 'groups'} {' and '.join(groups)}"
        yield ok(CHECK, f"all that is needed of {len(told)} topics and {said} is permitted")


def _topic(topic: Wanted, found: TopicFacts | None, started: frozenset[Process]) -> Iterator[Finding]:
    if found is None:
        process, needed = next(iter(topic.uses().items()))
        text = f"{topic.name} ({topic.role}) may not even be described"
        yield level_for([process], started)(CHECK, text, _fix(topic, needed))
        return
    for process, operations in topic.uses().items():
        if lacking := _lacking(operations, found.operations):
            who = "the worker" if process == "worker" else f"a {process}"
            text = f"{who} may not {_verbs(lacking)} {topic.name} ({topic.role})"
            yield level_for([process], started)(CHECK, text, _fix(topic, lacking))


def _lacking(needed: frozenset[str], given: frozenset[str] | None) -> frozenset[str]:
    if given is None:
        return frozenset()
    return frozenset(one for one in needed if not given & ({one, "ALL"} | _IMPLIED.get(one, set())))


def _verbs(operations: frozenset[str]) -> str:
    return " or ".join(sorted(operations)).lower()


def _fix(topic: Wanted, operations: frozenset[str]) -> str:
    return f"allow {' and '.join(sorted(operations))} on topic {topic.name}"
