"""The latest records of the input against the schema: what the worker would refuse of what really comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from worker.doctor.findings import Finding, error, ok, warning

CHECK = "records"


def judge_records(topic: str, refused: Counter[str], looked_at: int, max_ratio: float) -> Iterator[Finding]:
    """``refused``: how many of them, by reason."""
    if not looked_at:
        yield ok(CHECK, f"{topic} holds no records yet")
        return
    count = refused.total()
    told = ", ".join(f"{reason}: {number}" for reason, number in refused.most_common(3))
    text = f"{count} of the latest {looked_at} records of {topic} would be refused ({told})"
    fix = f"`prediction-worker inspect --last {looked_at} --only refused` shows them"
    if not count:
        yield ok(CHECK, f"the latest {looked_at} records of {topic} are all good by the schema")
    elif count > max_ratio * looked_at:
        yield error(CHECK, f"{text}, more than dead_letters.max_ratio", fix)
    else:
        yield warning(CHECK, text, fix)
