"""The join: what it tells adds up to the definition, whatever comes when, and however often it begins anew."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.quality import Found, Said, True_, definition, label_rows, prediction_rows
from worker.quality.changes import Changes
from worker.quality.join import JoinRules, PartitionJoin
from worker.quality.position import Position, Way
from worker.quality.scoring import Predicted

RULES = JoinRules(window_ms=10, lateness_ms=3, skew_ms=2, horizon_ms=15)
BEGINNING = Position(Way.beginning(0), Way.beginning(0))


def streams(seed: int, count: int) -> tuple[list[Said], list[True_]]:
    """Both in order of offsets, with gaps; times wander, some are far off; ids come again."""
    rng = random.Random(seed)
    said: list[Said] = []
    true: list[True_] = []
    for stream, size in ((0, count), (1, count)):
        now, offset = rng.randint(1, 30), 0  # a timestamp of 0 is none
        for i in range(size):
            now += rng.choice((0, 0, 1, 2, 6))
            time = max(0, now - rng.choice((0, 0, 1, 4, 15, 30)))
            offset += rng.choice((1, 1, 1, 3))
            stamp = rng.choice((10**15, 10**15, 10**15, now))
            event = f"{rng.randint(max(0, i - 8), i + 2)}"
            if rng.random() < 0.03:
                time += 1_000
                stamp = now
            if stream == 0:
                variant = ("1.0.0", rng.choice(("primary", "primary", "shadow")))
                said.append(Said(offset, event, time, Predicted(rng.randint(0, 1), 0.5), stamp, variant))
            else:
                true.append(True_(offset, event, time, rng.randint(0, 1), stamp))
    return said, true


class Joiner:
    """One partition's join beside its two logs, restarted at will."""

    def __init__(self, said: list[Said], true: list[True_], rng: random.Random) -> None:
        self.said, self.true, self.rng = said, true, rng
        self.join = PartitionJoin(RULES, BEGINNING, mark_every=1)
        self.at = [0, 0]  # offsets
        self.found = Found()

    def step(self, of_labels: int, most: int) -> None:
        """Take what comes next of one topic."""
        ends = [self.said[-1].offset + 1, self.true[-1].offset + 1]
        begin, end = self.at[of_labels], min(ends[of_labels], self.at[of_labels] + self.rng.randint(1, most))
        self.at[of_labels] = end
        changes = Changes()
        self.take(of_labels, begin, end, changes)
        self.found.add(changes)

    def take(self, of_labels: int, begin: int, end: int, changes: Changes) -> None:
        if of_labels:
            self.join.take_labels(label_rows([x for x in self.true if begin <= x.offset < end]), end, changes)
        else:
            self.join.take_predictions(prediction_rows([x for x in self.said if begin <= x.offset < end]), end, changes)

    def restart(self) -> None:
        """Another joiner takes over, by the position alone."""
        position = Position.read(self.join.reached().text())
        assert (position.predictions.next, position.labels.next) == tuple(self.at)
        self.join = PartitionJoin(RULES, position, mark_every=1)
        again = [(way.again, way.next) for way in (position.predictions, position.labels)]
        order = self.rng.sample((0, 1), 2)
        for which in order:
            begin, end = again[which]
            while begin < end:
                middle = min(end, begin + self.rng.randint(1, 9))
                self.take(which, begin, middle, Changes())
                begin = middle
        self.take(0, *position_end(position.predictions), Changes())
        self.take(1, *position_end(position.labels), Changes())
        assert self.join.reached().text() == position.text() or self.join.reached().labels.next == position.labels.next


def position_end(way: Way) -> tuple[int, int]:
    return way.next, way.next


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**48), count=st.integers(2, 60), restarts=st.sampled_from((0.0, 0.1, 0.5)))
def test_what_it_tells_is_the_definition(seed: int, count: int, restarts: float) -> None:
    """In any interleaving of the two topics, in any batches, with any restarts, each pair is told once."""
    rng = random.Random(seed)
    said, true = streams(seed, count)
    joiner = Joiner(said, true, rng)
    lean = rng.random()  # one of them may be far ahead
    while joiner.at[0] <= said[-1].offset or joiner.at[1] <= true[-1].offset:
        which = int(rng.random() < lean)
        if joiner.at[which] > (said, true)[which][-1].offset:
            which = 1 - which
        joiner.step(which, rng.choice((1, 5, 30)))
        if rng.random() < restarts:
            joiner.restart()
    assert joiner.found.plain() == definition(said, true, RULES).plain()


def test_it_forgets() -> None:
    """What is held, and what would be read again, is of the last horizon; not of all there ever was."""
    join, changes = PartitionJoin(RULES, BEGINNING), Changes()
    sizes = []
    for i in range(5_000):
        join.take_predictions(prediction_rows([Said(i, str(i), i, Predicted(0, 0.1))]), i + 1, changes)
        join.take_labels(label_rows([True_(i, str(i - 5), i, 0)]), i + 1, changes)
        sizes.append(len(join))
    assert max(sizes) < 100
    reached = join.reached()
    assert reached.predictions.next - reached.predictions.again < 1_100
    assert reached.labels.next - reached.labels.again < 100
    # The first five labels are of events that there never were.
    assert sum(changes.unmatched.values()) == 5


def test_labels_that_stop_coming_are_not_waited_for() -> None:
    """Once it is known that there are none, predictions are forgotten by their own time."""
    join, changes = PartitionJoin(RULES, BEGINNING), Changes()
    for i in range(5_000):
        join.take_predictions(prediction_rows([Said(i, str(i), i, Predicted(0, 0.1))]), i + 1, changes)
        join.labels_read(i - 20, changes)
    assert len(join) < 200
    assert join.complete_ms == 4_979
    predictions = join.reached().predictions
    assert predictions.next - predictions.again < 1_200


def test_labels_wait_for_predictions() -> None:
    """However far they are ahead, none is unmatched before its prediction had its turn."""
    join, changes = PartitionJoin(RULES, BEGINNING), Changes()
    join.take_labels(label_rows([True_(i, str(i), i + 1, 1) for i in range(5_000)]), 5_000, changes)
    for i in range(5_000):
        join.take_predictions(prediction_rows([Said(i, str(i), i, Predicted(0, 0.1))]), i + 1, changes)
    assert sum(map(len, changes.pairs.values())) == 5_000
    assert not changes.unmatched


@pytest.mark.parametrize(
    ("label_ms", "before_ms", "expected"),
    [(100, 0, 1), (115, 0, 1), (116, 0, 0), (98, 0, 1), (97, 0, 0), (110, 118, 1), (110, 119, 0)],
    ids=[
        "at once",
        "at the horizon",
        "beyond it",
        "a little early",
        "too early",
        "out of order",
        "too far out of order",
    ],
)
def test_the_horizon(label_ms: int, before_ms: int, expected: int) -> None:
    """Of an event at 100: the bounds of its label's time, and of the times of labels before it."""
    join, changes = PartitionJoin(RULES, BEGINNING), Changes()
    join.take_predictions(prediction_rows([Said(0, "e", 100, Predicted(1, 0.9))]), 1, changes)
    join.take_labels(label_rows([True_(0, "other", before_ms, 0), True_(1, "e", label_ms, 1)]), 2, changes)
    assert sum(map(len, changes.pairs.values())) == expected


def test_the_first_label_counts() -> None:
    """A second one is doubled; one that says something else contradicts."""
    for labels_first in (False, True):
        join, changes = PartitionJoin(RULES, BEGINNING), Changes()
        said = prediction_rows([Said(0, "e", 100, Predicted(1, 0.9))])
        true = label_rows([True_(i, "e", 101 + i, actual) for i, actual in enumerate((1, 1, 0))])
        if labels_first:
            join.take_labels(true, 3, changes)
        join.take_predictions(said, 1, changes)
        if not labels_first:
            join.take_labels(true, 3, changes)
        cell = ("1.0.0", "primary", 100)
        assert changes.pairs[cell] == [(Predicted(1, 0.9), 1)]
        assert changes.counts[cell] == {"predictions": 1, "doubled": 2, "contradicting": 1}


@pytest.mark.parametrize(
    "stamp_ms", [200, 0, -1], ids=["by its timestamp", "without one", "without one in old formats"]
)
def test_a_label_from_the_future_is_refused(stamp_ms: int) -> None:
    """It would make all others late; it is counted, and moves nothing."""
    join, changes = PartitionJoin(RULES, BEGINNING), Changes()
    join.take_predictions(prediction_rows([Said(0, "e", 100, Predicted(1, 0.9))]), 1, changes)
    join.take_labels(label_rows([True_(0, "e", 10**15, 1, stamp_ms), True_(1, "e", 101, 1)]), 2, changes)
    assert (changes.refused, join.labels_ms, sum(map(len, changes.pairs.values()))) == (1, 101, 1)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"v":2}', '{"v":1,"predictions":[1],"labels":[1,2,3]}', "nonsense"])
def test_a_foreign_position_is_refused(text: str) -> None:
    """What another program committed beside the offset is not taken for a position."""
    with pytest.raises(ValueError, match=r".*"):
        Position.read(text)
