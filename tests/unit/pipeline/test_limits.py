"""Dead-letter limits: what trips them, and what they remember."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import DeadLetterLimit
from worker.pipeline.limits import DeadLetterLimits, LimitPolicy
from worker.pipeline.partition_state import Counters, PartitionState
from worker.records import Cause, Reason, Record, RecordBatch, Refusals, Stage, TopicPartition

TP = TopicPartition("t", 0)
POLICY = LimitPolicy("d1", max_ratio=0.5, window_records=10, max_consecutive=4)


def batch(count: int, partition: int = 0) -> RecordBatch:
    return RecordBatch.of([Record("t", partition, i, 0, None, b"v") for i in range(count)])


def refusals(rows: list[int]) -> Refusals:
    return Refusals.alike(np.array(rows, np.int64), Cause(Stage.DECODE, Reason.MALFORMED, ""))


def after(limits: DeadLetterLimits, pattern: str) -> Counters:
    """The counters after a batch in which each x is a refused record; accepted unless tripped."""
    counters = limits.judge(batch(len(pattern)), refusals([i for i, c in enumerate(pattern) if c == "x"]))
    if not counters[TP].tripped:
        limits.accept(counters)
    return counters[TP]


@pytest.mark.parametrize(
    ("patterns", "verdict"),
    [
        (["xxxx"], "4 refused in a row"),
        (["..xxxx.."], "4 refused in a row"),
        (["..xx", "xx.."], "4 refused in a row"),
        (["xx", "x", "x"], "4 refused in a row"),
        (["xxx.xxx.x."], "7 of 10 refused"),
        ([".x.x.x.x.x"], ""),
        (["xxx", ".", "xxx"], ""),
        ([".xx.xx.x", "x."], "6 of 10 refused"),
        (["xxx.xxx", "..."], "6 of 10 refused"),
        (["xxx", ".", "x"], ""),
    ],
)
def test_trips(patterns: list[str], verdict: str) -> None:
    """Runs count over batches; the ratio counts once a window of records has been seen."""
    limits = DeadLetterLimits(POLICY)
    assert [after(limits, pattern).tripped for pattern in patterns][-1] == verdict


def test_no_limits() -> None:
    """Ratio 1 and 0 in a row stand for no limit."""
    limits = DeadLetterLimits(LimitPolicy("d1", max_ratio=1, window_records=10, max_consecutive=0))
    assert after(limits, "x" * 10_000).tripped == ""


def test_forgets() -> None:
    """What happened long ago does not count for ever."""
    limits = DeadLetterLimits(replace(POLICY, max_consecutive=0))
    after(limits, ".x" * 5)
    for _ in range(20):
        counters = after(limits, "." * 10)
    assert counters.refused == 0
    assert counters.seen < 20


@given(st.lists(st.text("x.", min_size=1, max_size=12), min_size=1, max_size=8))
def test_cut_does_not_matter(patterns: list[str]) -> None:
    """However a run is cut into batches, it trips the limit if and only if it is there."""
    limits = DeadLetterLimits(replace(POLICY, max_ratio=1))
    verdicts = []
    for pattern in patterns:
        verdicts.append(after(limits, pattern).tripped)
        if verdicts[-1]:
            break
    assert bool(verdicts[-1]) == ("xxxx" in "".join(patterns[: len(verdicts)]))


def test_partitions_apart() -> None:
    """Each partition has counters of its own."""
    both = RecordBatch.of([Record("t", p, i, 0, None, b"v") for i in range(4) for p in range(2)])
    counters = DeadLetterLimits(POLICY).judge(both, refusals([0, 2, 4, 6]))
    assert counters[TP].tripped
    assert counters[TopicPartition("t", 1)] == Counters(seen=4)


def test_memory() -> None:
    """What is remembered of a partition is what a successor starts with."""
    state = PartitionState(POLICY.digest, after(DeadLetterLimits(POLICY), "..xxx"))
    successor = DeadLetterLimits(POLICY)
    successor.assigned({TP: state})
    assert after(successor, "x").tripped == "4 refused in a row"


def test_unassigned() -> None:
    """A partition that went elsewhere is forgotten; should it come back, its metadata does, too."""
    limits = DeadLetterLimits(POLICY)
    after(limits, "xxx")
    limits.unassigned(frozenset({TP, TopicPartition("t", 9)}))
    assert after(limits, "x").consecutive == 1


def test_stays_stopped() -> None:
    """A partition that had tripped stops whoever takes it on, saying where and why."""
    state = PartitionState(POLICY.digest, after(DeadLetterLimits(POLICY), "xxxx"))
    with pytest.raises(DeadLetterLimit, match=r"t\[0\]: 4 refused in a row") as caught:
        DeadLetterLimits(POLICY).assigned({TP: state})
    assert caught.value.hint


def test_digest() -> None:
    """Under another digest all is forgotten."""
    state = PartitionState(POLICY.digest, after(DeadLetterLimits(POLICY), "xxxx"))
    successor = DeadLetterLimits(replace(POLICY, digest="d2"))
    successor.assigned({TP: state})
    assert after(successor, "xxx").consecutive == 3
