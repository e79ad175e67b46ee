"""A batch to a sketch: every value in its bin, every record in its window, every offset covered."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drift import Row, added, category, counts_of, numeric, profile_of
from worker.columns import Columns, NumberColumn, Scores, TextColumn, VectorColumn
from worker.drift.binning import Binning
from worker.drift.counting import Counting, Predictions
from worker.drift.profile import LABEL, SCORE
from worker.drift.sketch import Range
from worker.records import Record, RecordBatch, TopicPartition

CLASSES = ("no", "maybe", "yes")
PROFILE = profile_of(
    numeric("amount", -1.0, 0.0, 0.5, 5e-324 + 1, 20.0),
    category("color", "red", "a colour with a long name", "é", ""),
    numeric("count", 0, 1, 2, 50),
    numeric("place[0]", 0.0, 1.0),
    numeric("place[1]", 0.0, 1.0, 2.0),
    category("other", *(f"value {i}" for i in range(40))),
    numeric(SCORE, 0.0, 0.25, 1.0),
    category(LABEL, "yes", "no"),
)
NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.floats(-3, 25),
    st.sampled_from([one for series in PROFILE.series for one in series.edges]),
)
COLORS = st.sampled_from([None, "red", "a colour with a long name", "a colour with a long nam", "é", "", "blue"])
ITEMS = st.none() | st.tuples(st.floats(-1, 3), st.floats(-1, 3))
ROWS = st.lists(
    st.tuples(
        NUMBERS,
        COLORS,
        st.none() | st.integers(-5, 60) | st.integers(-(2**31), 2**31 - 1),
        ITEMS,
        st.sampled_from(["value 1", "value 39", "value 40", "nothing"]),
        st.floats(-1, 2),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=30,
)


def columns_of(rows: list[Any]) -> tuple[Columns, Scores]:
    amounts, colors, counts, places, others, scores, labels = map(list, zip(*rows, strict=True))
    columns = Columns(
        {
            "amount": _numbers(amounts, np.float64),
            "color": TextColumn.of(colors),
            "count": _numbers(counts, np.int32),
            "place": VectorColumn.of(places, np.float64),
            "other": TextColumn.of(others),
        },
        len(rows),
    )
    return columns, Scores(np.array(scores), CLASSES, np.array(labels, np.int64))


def _numbers(values: list[Any], dtype: Any) -> NumberColumn:
    null = np.array([value is None for value in values])
    return NumberColumn(
        np.array([0 if value is None else value for value in values], dtype), null if null.any() else None
    )


def plain(row: Any) -> Row:
    """A value for each series."""
    amount, color, count, place, other, score, label = row
    first, second = place or (None, None)
    return (amount, color, count, first, second, other, score, CLASSES[label])


@given(ROWS, st.integers(1, 3))
def test_every_value_in_its_bin(rows: list[Any], repeats: int) -> None:
    """Counts are what the definition says of each value: edges, NaN, infinity, denormals, nulls, unknown texts."""
    rows = rows * repeats**4  # few rows and many, which go other ways
    columns, scores = columns_of(rows)
    group = np.arange(len(rows)) % 3
    counts = Binning(PROFILE).counts(columns, scores, group, 3)
    for one in range(3):
        expected = counts_of(PROFILE, [plain(row) for row in rows[one::3]])
        assert {place: n for place, n in enumerate(counts[one].tolist()) if n} == dict(expected)


def test_without_items() -> None:
    """A vector that is too short for an item has none, and that is missing."""
    binning = Binning(profile_of(numeric("v[1]", 0.0, 1.0)))
    columns = Columns({"v": VectorColumn.of([[0.5], [], [0.5, 0.5], None], np.float64)}, 4)
    assert binning.counts(columns, Scores(np.zeros(4)), np.zeros(4, np.int64), 1).tolist() == [[3, 0, 0, 1, 0]]
    empty = Columns({"v": VectorColumn.of([[], []], np.float64)}, 2)
    assert binning.counts(empty, Scores(np.zeros(2)), np.zeros(2, np.int64), 1).tolist() == [[2, 0, 0, 0, 0]]


def test_without_labels() -> None:
    """Where the model says no label, it is missing."""
    binning = Binning(profile_of(category(LABEL, "a")))
    assert binning.counts(Columns({}, 2), Scores(np.zeros(2)), np.zeros(2, np.int64), 1).tolist() == [[2, 0, 0]]


@pytest.mark.parametrize("series", [numeric("color", 0.0, 1.0), category("count", "1")])
def test_other_kind(series: Any) -> None:
    """A column of another kind than its series is a fault of ours, said at once."""
    columns, scores = columns_of([(1.0, "red", 1, None, "", 0.0, 0)])
    with pytest.raises(TypeError):
        Binning(profile_of(series)).counts(columns, scores, np.zeros(1, np.int64), 1)


def counting(window_seconds: int = 100) -> Counting:
    profile = profile_of(*PROFILE.series, window_seconds=window_seconds)
    return Counting(profile, "d" * 64, "model", "1.0.0", lateness_seconds=10, skew_seconds=0.5)


def batch(places: list[tuple[int, int]]) -> RecordBatch:
    """Of partition and offset each, at 1000 s."""
    return RecordBatch.of([Record("in", partition, offset, 1_000_000, None, b"") for partition, offset in places])


def predictions(rows: list[int], times_ms: list[int]) -> Predictions:
    values = [(float(row), "red", row, (0.5, 1.5), "value 1", 0.5, row % 3) for row in rows]
    return Predictions(np.array(rows, np.int64), np.array(times_ms, np.int64), *columns_of(values))


def test_sketch() -> None:
    """Each record is in the window of its time and partition, and every offset is covered, refused ones too."""
    given_batch = batch([(1, 5), (0, 7), (1, 6), (0, 8), (2, 1)])
    counted = counting().count(
        given_batch, predictions([0, 1, 2], [950_000, 1_000_100, 800_000]), {TopicPartition("in", 2): 77}
    )
    sketch = counted.sketch
    assert (sketch.model_name, sketch.model_version, sketch.profile_digest) == ("model", "1.0.0", "d" * 64)
    assert (sketch.input_topic, sketch.window_seconds, sketch.lateness_seconds) == ("in", 100, 10)
    assert sketch.ranges == (Range(0, 7, 9, 1_000_100), Range(1, 5, 7, 950_000), Range(2, 1, 2, 77))
    assert counted.watermarks == {TopicPartition("in", r.partition): r.watermark_ms for r in sketch.ranges}
    rows = {row: plain((float(row), "red", row, (0.5, 1.5), "value 1", 0.5, row % 3)) for row in range(3)}
    assert added([sketch]) == {
        (1, 900_000): (1, 1, counts_of(PROFILE, [rows[0]])),
        (0, 1_000_000): (1, 0, counts_of(PROFILE, [rows[1]])),
    }


def test_nothing_predicted() -> None:
    """A batch of refused records is covered, with the watermark as it was."""
    sketch = counting().count(batch([(0, 3)]), None, {TopicPartition("in", 0): 5}).sketch
    assert (sketch.ranges, sketch.windows) == ((Range(0, 3, 4, 5),), ())


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_many_windows(most_windows: int, seed: int) -> None:
    """However many windows a batch has records of, they are counted, a stretch of them at a time."""
    random = np.random.default_rng(seed)
    count = 60
    times = (1_000_000 - random.integers(0, 8_000, count) * 100).tolist()
    whole = counting(1).count(batch([(i % 2, i) for i in range(count)]), predictions(list(range(count)), times), {})
    few = replace(counting(1), most_cells=most_windows * Binning(PROFILE).size)
    parts = few.count(batch([(i % 2, i) for i in range(count)]), predictions(list(range(count)), times), {})
    assert added([parts.sketch]) == added([whole.sketch])
    assert sum(records + late for records, late, _ in added([whole.sketch]).values()) == count


def test_counts_are_exact() -> None:
    """Of each series every record in a window is in exactly one bin."""
    count = 5_000
    random = np.random.default_rng(1)
    times = (1_000_000 - random.integers(0, 150_000, count)).tolist()
    sketch = counting().count(batch([(0, i) for i in range(count)]), predictions(list(range(count)), times), {}).sketch
    assert sum(window.records + window.late for window in sketch.windows) == count
    totals = Counter({w.start_ms: int(w.counts.sum()) for w in sketch.windows if w.records})
    assert totals == {w.start_ms: w.records * len(PROFILE.series) for w in sketch.windows if w.records}
