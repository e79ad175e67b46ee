"""Clocks: the broker's against ours, and the records' against both."""

from __future__ import annotations

from collections.abc import Iterator

from worker.doctor.findings import Finding, error, ok, warning
from worker.kafka.probe import Probed

CHECK = "clock"
NOTICEABLE_SECONDS, WRONG_SECONDS = 1.0, 30.0
_FIX = "let brokers and workers take their time from the same NTP servers"


def judge_clock(probed: Probed) -> Iterator[Finding]:
    """By the broker's own timestamp of a probe; nothing where the topic keeps the producer's."""
    ahead = probed.ahead_seconds
    if ahead is None:
        return
    doubt = probed.seconds
    told = f"the broker's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) - doubt >= WRONG_SECONDS:
        yield error(CHECK, told, _FIX)
    elif abs(ahead) - doubt >= NOTICEABLE_SECONDS:
        yield warning(CHECK, f"{told}: latencies will be wrong by as much", _FIX)
    else:
        yield ok(CHECK, f"the broker's clock and ours differ by no more than {abs(ahead) + doubt:.1f} s")


def judge_newest(topic: str, newest_ms: int | None, now: float, skew_seconds: float) -> Iterator[Finding]:
    """By the newest Kafka timestamp of the input; ``now`` in Unix seconds."""
    if newest_ms is None:
        return
    ahead = newest_ms / 1_000 - now
    if ahead > skew_seconds:
        yield warning(
            CHECK,
            f"a record of {topic} is dated {ahead:,.0f} s in the future by its Kafka timestamp",
            "correct the producer's clock, or set message.timestamp.type=LogAppendTime on the topic",
        )
    else:
        yield ok(CHECK, f"the newest record of {topic} is dated {max(0.0, -ahead):,.0f} s ago")
