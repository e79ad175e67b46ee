"""The consumer group: who is in it, and whether a dead-letter limit has stopped a partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worker.doctor.findings import Finding, error, ok
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
        members = "1 member" if facts.members == 1 else f"{facts.members} members"
        nobody = "nobody runs" if facts.members == 0 else f"{members}, {facts.state.lower().replace('_', ' ')}"
        yield ok(CHECK, f"{name}: {nobody}")
