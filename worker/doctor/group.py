"""The consumer groups: who is in them, and whether a dead-letter limit has stopped a partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worker.doctor.findings import Finding, error, ok, warning
from worker.kafka.facts import GroupFacts
from worker.kafka.resume import Stopped

CHECK = "group"


def judge_group(name: str, facts: GroupFacts, stopped: Sequence[Stopped]) -> Iterator[Finding]:
    """A finding a stopped partition; none: how the group is."""
    for one in stopped:
        yield error(
            CHECK,
            f"partition {one.partition} is stopped at offset {one.offset}: {one.why}",
            "look at `prediction-worker dlq list`, correct the cause, then `prediction-worker dlq resume`",
        )
    if not stopped:
        yield ok(CHECK, f"{name}: {_told(facts)}")


def judge_joiners(name: str, facts: GroupFacts, workers: GroupFacts) -> Iterator[Finding]:
    """Where workers run, somebody should join the labels."""
    if workers.members and facts.allowed and not facts.members:
        yield warning(
            CHECK,
            f"{name}: nobody joins labels while workers run, so windows of quality wait",
            "start `prediction-worker join`, or set labels.joiner = true for `run`",
        )
    else:
        yield ok(CHECK, f"{name} (joiners): {_told(facts)}")


def _told(facts: GroupFacts) -> str:
    members = "1 member" if facts.members == 1 else f"{facts.members} members"
    return "nobody runs" if facts.members == 0 else f"{members}, {facts.state.lower().replace('_', ' ')}"
