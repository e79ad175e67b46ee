"""When offsets are committed at least once: together, in order, and again where the group was moving on.

What the group answers is made up here: a real one can't be had to refuse at a given moment. Nothing is put out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError

from tests.unit.kafka.test_membership import metadata
from worker.errors import DeliveryAborted, TransportError
from worker.kafka.at_least_once import COMMIT_RECORDS, COMMIT_SECONDS, MOST_REFUSALS_IN_A_ROW, AtLeastOnceSink
from worker.kafka.native.commits import Offsets
from worker.kafka.source import KafkaSource
from worker.kafka.watchdog import Watchdog
from worker.records import Committable, TopicPartition
from worker.testing import ManualClock

P0, P1 = TopicPartition("events", 0), TopicPartition("events", 1)
CONFIG = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "logger": None}
MOVING_ON = KafkaError(KafkaError.REBALANCE_IN_PROGRESS)


@dataclass(slots=True)
class Group:
    """A source, its consumer and its commits in one. ``answers``: to the commits, in their order; without one they wait."""

    ours: frozenset[TopicPartition] = frozenset({P0, P1})
    is_member: bool = True
    begun: list[Offsets] = field(default_factory=list)
    answers: list[KafkaError | None] = field(default_factory=list)
    under_way: Offsets | None = None
    before_giving_up: Any = None

    @property
    def commits(self) -> Group:
        return self

    @property
    def consumer(self) -> Group:
        return self

    def partitions(self) -> frozenset[TopicPartition]:
        return self.ours

    def consumer_group_metadata(self) -> bytes:
        return metadata(3, b"m-1") if self.is_member else metadata(-1, b"")

    def begin(self, offsets: Offsets) -> None:
        assert self.under_way is None
        self.under_way = dict(offsets)
        self.begun.append(self.under_way)

    def ended(self, seconds: float) -> tuple[Offsets, KafkaError | None] | None:
        del seconds
        if self.under_way is None or not self.answers:
            return None
        ended, self.under_way = self.under_way, None
        return ended, self.answers.pop(0)


class Rig:
    def __init__(self) -> None:
        self.group, self.clock = Group(), ManualClock()
        watchdog = Watchdog(15, self.clock)
        self.sink = AtLeastOnceSink(CONFIG, cast("KafkaSource", self.group), watchdog, self.clock, 15)

    def deliver(self, *offsets: tuple[TopicPartition, int], after: float = COMMIT_SECONDS) -> None:
        self.clock.advance(after)
        self.sink.deliver((), Committable(dict(offsets), {tp: f"at {offset}" for tp, offset in offsets}))

    def idle(self) -> None:
        self.clock.advance(COMMIT_SECONDS)
        self.sink.settle()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.group.under_way, made.group.is_member = None, False
    made.sink.close()


def test_together(rig: Rig) -> None:
    """What came since the last commit is in the next: of each partition the last offset, with what is beside it."""
    rig.group.answers = [None, None]
    rig.deliver((P0, 1))
    assert rig.group.begun == [], "known to be acknowledged with the next delivery only"
    rig.deliver((P0, 2))
    rig.deliver((P0, 3), after=0.001)
    rig.deliver((P1, 7), after=0.001)
    rig.deliver((P0, 4), after=COMMIT_SECONDS)
    assert rig.group.begun == [{P0: (1, "at 1")}, {P0: (3, "at 3"), P1: (7, "at 7")}]
    rig.idle()
    assert rig.group.begun[2:] == [{P0: (4, "at 4")}]


def test_one_after_another(rig: Rig) -> None:
    """A commit waits for the outcome of the one before; no batch waits for either."""
    rig.deliver((P0, 1))
    rig.deliver((P0, 2))
    rig.deliver((P0, 3))
    assert rig.group.begun == [{P0: (1, "at 1")}]
    rig.group.answers = [None]
    rig.deliver((P0, 4))
    assert rig.group.begun == [{P0: (1, "at 1")}, {P0: (3, "at 3")}]


def test_many_records(rig: Rig) -> None:
    """After so many records a batch is due at once, whatever the time, and a commit under way is seen through first."""
    rig.deliver((P0, 1))
    rig.deliver((P0, 2))
    rig.group.answers = [None]
    rig.sink._records = COMMIT_RECORDS
    rig.deliver((P0, 3), after=0)
    assert rig.group.begun == [{P0: (1, "at 1")}, {P0: (3, "at 3")}]


@pytest.mark.parametrize("moment", ["with the next delivery", "in an idle round"])
def test_made_again(rig: Rig, moment: str) -> None:
    """A commit that was refused since the group moves on is made again, of what is ours still and has gone no further."""
    rig.deliver((P0, 1), (P1, 5))
    rig.idle()
    if moment == "with the next delivery":
        rig.deliver((P0, 2))
        rig.group.answers = [MOVING_ON]
        rig.deliver((P0, 3))
        again = {P0: (2, "at 2"), P1: (5, "at 5")}
    else:
        rig.group.answers, rig.group.ours = [MOVING_ON], frozenset({P1})
        rig.idle()
        again = {P1: (5, "at 5")}
    assert rig.group.begun == [{P0: (1, "at 1"), P1: (5, "at 5")}, again]


def test_refused_for_ever(rig: Rig) -> None:
    """Refused again and again, or for another reason, the worker ends."""
    rig.deliver((P0, 1))
    rig.group.answers = [MOVING_ON] * MOST_REFUSALS_IN_A_ROW
    for _ in range(MOST_REFUSALS_IN_A_ROW):
        rig.idle()
    rig.idle()
    rig.group.answers = [MOVING_ON]
    with pytest.raises(TransportError, match="commit"):
        rig.idle()
    rig.deliver((P0, 2))
    rig.idle()
    rig.group.answers = [KafkaError(KafkaError.OFFSET_METADATA_TOO_LARGE)]
    with pytest.raises(TransportError, match="commit"):
        rig.idle()


def test_handed_over(rig: Rig) -> None:
    """Before partitions are given up what is due is committed, after the commit that is under way, and seen through."""
    rig.deliver((P0, 1))
    rig.deliver((P0, 2), (P1, 7))
    rig.group.answers = [None, None]
    rig.group.before_giving_up()
    assert rig.group.begun == [{P0: (1, "at 1")}, {P0: (2, "at 2"), P1: (7, "at 7")}]
    assert rig.group.under_way is None


def test_thrown_out(rig: Rig) -> None:
    """Once we are no member nothing is committed any more: a delivery is aborted, an idle round passes."""
    rig.group.answers = [None]
    rig.deliver((P0, 1))
    rig.deliver((P0, 2))
    rig.group.is_member = False
    rig.clock.advance(2)
    rig.sink.settle()
    with pytest.raises(DeliveryAborted, match="without us"):
        rig.deliver((P0, 3))
    rig.group.is_member = True
    rig.idle()
    assert rig.group.begun == [{P0: (1, "at 1")}]


def test_of_another_member(rig: Rig) -> None:
    """A batch with a partition that is ours no more is aborted, and not committed."""
    rig.group.ours = frozenset({P0})
    with pytest.raises(DeliveryAborted, match=r"events\[1\] went to another member"):
        rig.deliver((P0, 1), (P1, 5))
    rig.idle()
    assert rig.group.begun == []
