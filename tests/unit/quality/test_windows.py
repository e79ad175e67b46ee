"""Windows of quality: when they are over."""

from __future__ import annotations

import json
from collections import Counter

from worker.quality.sketch import Mark, QualitySketch
from worker.quality.tally import Tally
from worker.quality.windows import QualityWindows

MINUTE = 60_000
BOTH, NONE = frozenset({0, 1}), frozenset[int]()


def sketch(*marks: tuple[int, int, int], unmatched: dict[int, int] | None = None, **windows: int) -> QualitySketch:
    """``windows``: ``w3=7``, seven labelled predictions in the window that begins at minute 3."""
    tallies = {
        ("1", "primary", int(name[1:]) * MINUTE): Tally(Counter(predictions=count, labelled=count))
        for name, count in windows.items()
    }
    return QualitySketch("m", 60, 120, 60, tuple(Mark(*mark) for mark in marks), unmatched or {}, tallies)


def closed(
    windows: QualityWindows, idle: frozenset[int] = NONE, partitions: int = 2
) -> list[tuple[int, int, int, int]]:
    """Minute, labelled, unmatched and late of each that is over."""
    return [
        (key.start_ms // MINUTE, one.tally["labelled"], one.unmatched, one.late)
        for key, one in windows.close(idle, partitions)
    ]


def test_a_window_waits_for_the_labels_of_all_partitions() -> None:
    """It is over when the labels of the slowest have passed its end by the horizon and the grace."""
    windows = QualityWindows()
    windows.absorb(sketch((0, 10 * MINUTE, 10 * MINUTE), w0=5))
    assert closed(windows) == []
    windows.absorb(sketch((1, 10 * MINUTE, 4 * MINUTE - 1), w0=2))
    assert closed(windows) == []
    windows.absorb(sketch((1, 10 * MINUTE, 4 * MINUTE)))
    assert closed(windows) == [(0, 7, 0, 0)]


def test_it_waits_for_the_predictions_too() -> None:
    """Labels that are far ahead of the predictions close nothing that predictions may still be in."""
    windows = QualityWindows()
    windows.absorb(sketch((0, 2 * MINUTE - 1, 60 * MINUTE), w0=5))
    assert closed(windows, partitions=1) == []
    windows.absorb(sketch((0, 2 * MINUTE, 60 * MINUTE)))
    assert closed(windows, partitions=1) == [(0, 5, 0, 0)]


def test_idle_partitions_hold_nothing() -> None:
    """One that is through is left out; if all are, the furthest counts."""
    windows = QualityWindows()
    windows.absorb(sketch((0, 4 * MINUTE, 4 * MINUTE), (1, 0, 0), w0=5))
    assert closed(windows) == []
    assert closed(windows, frozenset({1})) == [(0, 5, 0, 0)]
    windows.absorb(sketch((0, 6 * MINUTE, 5 * MINUTE), w1=1, w2=1, w3=1))
    assert closed(windows, BOTH) == [(1, 1, 0, 0), (2, 1, 0, 0)]


def test_what_comes_too_late_is_told() -> None:
    """Of a window that is over it is counted as late, with the next one; unmatched labels with the one of their time."""
    windows = QualityWindows()
    windows.absorb(sketch((0, 4 * MINUTE, 4 * MINUTE), unmatched={0: 3, 2 * MINUTE: 4}, w0=5))
    assert closed(windows, partitions=1) == [(0, 5, 3, 0)]
    windows.absorb(sketch((0, 7 * MINUTE, 7 * MINUTE), unmatched={0: 1}, w0=2, w3=5))
    assert closed(windows, partitions=1) == [(3, 5, 5, 2)]


def test_a_state_goes_on_as_its_maker() -> None:
    """By way of JSON, in the midst of it."""
    windows = QualityWindows()
    windows.absorb(sketch((0, 4 * MINUTE, 4 * MINUTE), unmatched={0: 3}, w0=5, w1=2))
    list(windows.close(NONE, 1))
    windows.absorb(sketch((0, 4 * MINUTE, 4 * MINUTE), unmatched={MINUTE: 3}, w0=9))
    other = QualityWindows.of_state(json.loads(json.dumps(windows.state())))
    assert other.state() == windows.state()
    later = sketch((0, 9 * MINUTE, 9 * MINUTE), w1=1, w2=1)
    windows.absorb(later)
    other.absorb(later)
    assert closed(windows, partitions=1) == closed(other, partitions=1) == [(1, 3, 3, 9), (2, 1, 0, 0)]
