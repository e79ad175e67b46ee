"""Sketches to whole windows."""

import json
from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.drift.rig import LATENESS_MS, LENGTH_MS, Partition, Records, counted, sketch_of
from worker.drift.sketch import Range, Sketch
from worker.drift.windows import Window, WindowId, Windows

NONE: frozenset[int] = frozenset()
Closed = list[tuple[WindowId, Window]]


def found(closed: Iterable[tuple[WindowId, Window]]) -> list[tuple[int, int, int, list[int]]]:
    return [(key.start_ms, window.records, window.late, window.counts.tolist()) for key, window in closed]


def one(partition: int, first: int, next_: int, watermark_s: int, start_s: int = 0) -> Sketch:
    """Records first to next of a partition, all of one window and bin."""
    window = counted(partition, start_s * 1_000, {0: next_ - first})
    return sketch_of([Range(partition, first, next_, watermark_s * 1_000)], [window])


@st.composite
def streams(draw: st.DrawFn) -> list[list[Records]]:
    """Of each partition its records in batches."""
    records = st.tuples(st.integers(0, 80), st.integers(0, 3))
    return draw(st.lists(st.lists(st.lists(records, min_size=1, max_size=6), max_size=6), min_size=1, max_size=3))


@given(streams(), st.data())
def test_windows_hold_what_an_offline_count_holds(stream: list[list[Records]], data: st.DataObject) -> None:
    """Whatever the batches, the order among partitions and the moments of asking: the same windows, and the right ones."""
    partitions = [Partition(number) for number in range(len(stream))]
    waiting = [
        [partition.sketch(batch) for batch in batches] for partition, batches in zip(partitions, stream, strict=True)
    ]
    windows, closed = Windows(), []
    while any(waiting):
        turn = data.draw(st.sampled_from([number for number, sketches in enumerate(waiting) if sketches]))
        windows.absorb(waiting[turn].pop(0))
        if data.draw(st.booleans()):
            windows = Windows.of_state(json.loads(json.dumps(windows.state())))
        if data.draw(st.booleans()):
            idle = frozenset(number for number, sketches in enumerate(waiting) if not sketches)
            if len(idle) < len(stream):
                closed += list(windows.close(idle, len(stream)))
    closed += list(windows.close(frozenset(range(len(stream))), len(stream)))

    on_time = sum((partition.on_time for partition in partitions), Counter())
    last = max(partition.watermark_ms for partition in partitions)
    over = {start for start, _ in on_time if start + LENGTH_MS + LATENESS_MS <= last}
    holding = [(key.start_ms, window) for key, window in closed if window.records]
    assert [start for start, _ in holding] == sorted(over)
    for start, window in holding:
        assert window.counts.tolist() == [on_time[start, place] for place in range(len(window.counts))]
        assert window.records == sum(on_time[start, place] for place in range(4))
    assert sum(window.late for _, window in closed) + sum(one[6] for one in windows.state()["open"]) == sum(
        partition.late for partition in partitions
    )


def test_the_slowest_partition_holds_the_clock() -> None:
    """A window closes when every partition has passed its end by the lateness, not before."""
    windows = Windows()
    windows.absorb(one(0, 0, 5, watermark_s=100))
    windows.absorb(one(1, 0, 5, watermark_s=12))
    assert found(windows.close(NONE, 2)) == []
    windows.absorb(one(1, 5, 6, watermark_s=13, start_s=10))
    assert found(windows.close(NONE, 2)) == [(0, 10, 0, [10])]


def test_a_partition_that_was_never_heard_of_holds_everything_unless_idle() -> None:
    """Nothing closes while a third partition may still bring anything; when it is idle, it holds nothing."""
    windows = Windows()
    windows.absorb(one(0, 0, 5, watermark_s=100))
    windows.absorb(one(1, 0, 5, watermark_s=90))
    assert found(windows.close(NONE, 3)) == []
    assert found(windows.close(frozenset({2}), 3)) == [(0, 10, 0, [10])]


def test_all_idle_the_clock_is_the_highest_watermark() -> None:
    """With nothing more to come, windows close that the furthest partition has passed, and the last stays open."""
    windows = Windows()
    windows.absorb(one(0, 0, 5, watermark_s=5))
    windows.absorb(one(1, 0, 5, watermark_s=19, start_s=10))
    assert found(windows.close(frozenset({0, 1}), 2)) == [(0, 5, 0, [5])]
    assert len(windows) == 1


def test_the_clock_never_goes_back() -> None:
    """A partition that was idle and comes again, with events of a window that is over: they are late, where the clock is."""
    windows = Windows()
    windows.absorb(one(0, 0, 5, watermark_s=25, start_s=20))
    windows.absorb(one(1, 0, 1, watermark_s=4))
    assert found(windows.close(frozenset({1}), 2)) == [(0, 1, 0, [1])]
    windows.absorb(one(1, 1, 4, watermark_s=5))
    windows.absorb(one(1, 4, 5, watermark_s=80, start_s=80))
    assert found(windows.close(frozenset({0}), 2)) == [(20_000, 5, 3, [5])]


def test_what_is_over_stays_over() -> None:
    """A partition that comes again far behind holds the clock, and opens no window again."""
    windows = Windows()
    windows.absorb(one(0, 0, 5, watermark_s=25, start_s=20))
    windows.absorb(one(1, 0, 1, watermark_s=4))
    assert len(list(windows.close(frozenset({1}), 2))) == 1
    windows.absorb(one(1, 1, 4, watermark_s=5))
    assert found(windows.close(NONE, 2)) == []
    windows.absorb(one(1, 4, 6, watermark_s=6))
    assert len(windows) == 1
    assert windows.clock_ms == 25_000


def test_the_longest_lateness_counts() -> None:
    """While workers of two settings run, a window waits for the more patient ones."""
    windows = Windows()
    partition = Partition(0)
    windows.absorb(partition.sketch([(1, 0)], lateness_seconds=20))
    windows.absorb(partition.sketch([(2, 0), (29, 0)]))
    assert found(windows.close(NONE, 1)) == []
    windows.absorb(partition.sketch([(30, 0)]))
    assert found(windows.close(NONE, 1)) == [(0, 2, 0, [2])]


def test_repeated_ranges_are_counted_once() -> None:
    """A range that ends at or before the next offset is passed over, and moves nothing."""
    windows = Windows()
    for sketch in (one(0, 0, 5, 5), one(0, 0, 5, 5), one(0, 2, 4, 4), one(0, 5, 6, 30, 30)):
        windows.absorb(sketch)
    ((_, window),) = windows.close(NONE, 1)
    assert (window.records, window.over) == (5, 0)


def test_a_range_across_the_next_offset_says_what_it_may_be_over() -> None:
    """Partly repeated, it is counted, and the window tells by how many records at most."""
    windows = Windows()
    for sketch in (one(0, 0, 5, 5), one(0, 3, 9, 6), one(0, 9, 10, 30, 30)):
        windows.absorb(sketch)
    ((_, window),) = windows.close(NONE, 1)
    assert (window.records, window.over) == (11, 2)


def test_a_window_is_over_by_no_more_than_it_has() -> None:
    """Of a range across the next offset each window may hold what was repeated, if it is so many."""
    windows = Windows()
    windows.absorb(one(0, 0, 5, 5))
    parts = [counted(0, 0, {0: 1}), counted(0, 10_000, {0: 7})]
    windows.absorb(sketch_of([Range(0, 2, 10, 12_000)], parts))
    windows.absorb(one(0, 10, 11, 60, 60))
    assert [window.over for _, window in windows.close(NONE, 1)] == [1, 3]


def test_offsets_may_have_gaps() -> None:
    """Compacted records and control records leave gaps; what comes after them is new."""
    windows = Windows()
    for sketch in (one(0, 7, 9, 5), one(0, 90, 91, 6), one(0, 100, 101, 30, 30)):
        windows.absorb(sketch)
    ((_, window),) = windows.close(NONE, 1)
    assert (window.records, window.over) == (3, 0)


def test_a_partition_that_begins_anew_is_counted() -> None:
    """Low offsets with later event times are those of a topic that was created again."""
    windows = Windows()
    for sketch in (one(0, 500, 505, 5), one(0, 0, 3, 15, 10), one(0, 3, 4, 40, 40)):
        windows.absorb(sketch)
    assert found(windows.close(NONE, 1)) == [(0, 5, 0, [5]), (10_000, 3, 0, [3])]


def test_windows_are_bounded() -> None:
    """More than so many, and the earliest are closed before their time, in order; their later records are late."""
    windows = Windows(max_open=2)
    windows.absorb(one(0, 0, 1, 0))
    for window in range(5):
        windows.absorb(one(1, window, window + 1, 10 * window, 10 * window))
    closed = list(windows.close(NONE, 2))
    assert [(key.start_ms, window.early) for key, window in closed] == [(0, True), (10_000, True), (20_000, True)]
    windows = Windows.of_state(windows.state(), max_open=2)
    windows.absorb(one(0, 1, 3, 1))
    assert len(windows) == 2
    assert found(windows.close(frozenset({0, 1}), 2)) == []
    windows.absorb(one(1, 5, 6, 200, 200))
    assert found(windows.close(frozenset({0, 1}), 2)) == [(30_000, 1, 2, [1]), (40_000, 1, 0, [1])]


def test_versions_have_windows_of_their_own() -> None:
    """Two versions in one window of time are two windows; the offsets are the partition's."""
    partition, windows = Partition(0), Windows()
    windows.absorb(partition.sketch([(1, 0), (2, 0)]))
    partition.version = "2"
    windows.absorb(partition.sketch([(3, 1), (40, 0)]))
    closed = list(windows.close(NONE, 1))
    assert [(key.model_version, window.records) for key, window in closed] == [("1", 2), ("2", 1)]


def test_an_event_from_1970_closes_at_once() -> None:
    """A first record of long ago is a window of its own, over with the next record, and holds nothing back."""
    partition, windows = Partition(0), Windows()
    windows.absorb(partition.sketch([(1, 0)]))
    windows.absorb(partition.sketch([(1_400_000_000, 0), (2, 0), (1_400_000_020, 0)]))
    assert found(windows.close(NONE, 1)) == [(0, 1, 0, [1]), (1_400_000_000_000, 1, 1, [1])]
