"""Windows and watermarks: what is late, what is ahead, and that batches do not matter."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.drift.placing import NO_TIME_MS, Placed, Placing

PLACING = Placing(window_ms=100, lateness_ms=10, skew_ms=20)
NOW = 1_000
Event = tuple[int, int, int]


def placed(events: list[Event], watermarks: dict[int, int] | None = None, *, by: str = "record") -> Placed:
    """Of partition, event time and Kafka timestamp each."""
    columns = np.array(events, np.int64).reshape(-1, 3).T.copy()
    place = PLACING.place_by_record if by == "record" else PLACING.place_by_column
    return place(columns[0], columns[1], columns[2], watermarks or {})


def counted(found: Placed) -> tuple[Counter[object], Counter[object], dict[int, int]]:
    """Records by place, those in no window by place, and the watermarks."""
    inside = Counter(found.places[g] for g in found.group.tolist() if g < len(found.places))
    assert sum(inside.values()) + sum(found.late.values()) == len(found.group)
    return inside, Counter(found.late), found.watermarks


def times(*at: int) -> list[Event]:
    return [(0, time, NOW) for time in at]


@pytest.mark.parametrize("by", ["record", "column"])
def test_late_by_the_watermark_before(by: str) -> None:
    """An event is on time until its window's end plus the lateness has been reached by those before it."""
    inside, late, watermarks = counted(placed(times(150, 209, 199, 210, 199, 200), by=by))
    assert inside == {(0, 100): 2, (0, 200): 3}
    assert late == {(0, 200): 1}
    assert watermarks == {0: 210}


@pytest.mark.parametrize("by", ["record", "column"])
def test_dated_ahead(by: str) -> None:
    """An event dated later than its timestamp and the skew moves nothing; it counts if its window has begun by then."""
    inside, late, watermarks = counted(placed(times(950, 1_020, 1_021, 1_099, 1_100, 2_000_000_000_000), by=by))
    assert inside == {(0, 900): 1, (0, 1_000): 3}
    assert late == {(0, 1_000): 2}
    assert watermarks == {0: 1_020}


@pytest.mark.parametrize("by", ["record", "column"])
def test_before_the_epoch(by: str) -> None:
    """An event from before 1970 is late, even as the first; it is counted where its Kafka timestamp is."""
    inside, late, watermarks = counted(placed(times(-111, -1, -(2**63), 5), by=by))
    assert inside == {(0, -100): 1, (0, 0): 1}
    assert late == {(0, 1_000): 2}
    assert watermarks == {0: 5}


@pytest.mark.parametrize("by", ["record", "column"])
def test_no_timestamp(by: str) -> None:
    """Without a Kafka timestamp any time before the year 10000 is believed."""
    found = placed([(0, 5, -1), (0, NO_TIME_MS - 1, 0), (0, NO_TIME_MS, 0), (0, 2**63 - 1, -1)], by=by)
    inside, late, watermarks = counted(found)
    assert inside == {(0, 0): 1, (0, NO_TIME_MS - 100): 1}
    assert sum(late.values()) == 2
    assert watermarks == {0: NO_TIME_MS - 1}


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(-250, 1_400) | st.integers(-(2**63), 2**63 - 1),
        st.integers(900, 1_200) | st.sampled_from([-1, 0, 2**63 - 1]),
    ),
    max_size=60,
)
MARKS = st.dictionaries(st.integers(0, 3), st.integers(0, 1_300))


@given(EVENTS, MARKS)
def test_columns_agree_with_records(events: list[Event], watermarks: dict[int, int]) -> None:
    """Whole partitions at a time give what the definition gives."""
    assert counted(placed(events, watermarks, by="column")) == counted(placed(events, watermarks))


@given(EVENTS, MARKS, st.lists(st.integers(0, 60)), st.booleans())
def test_batches_do_not_matter(
    events: list[Event], watermarks: dict[int, int], cuts: list[int], by_column: bool
) -> None:
    """However the records are cut into batches, each is in the same place."""
    inside: Counter[object] = Counter()
    late: Counter[object] = Counter()
    marks = dict(watermarks)
    bounds = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    for begin, end in pairwise(bounds):
        some, none, after = counted(placed(events[begin:end], marks, by="column" if by_column else "record"))
        inside += some
        late += none
        marks |= after
    whole = counted(placed(events, watermarks))
    assert (inside, late, marks) == (whole[0], whole[1], watermarks | whole[2])


@given(EVENTS, MARKS)
def test_partitions_do_not_matter_to_each_other(events: list[Event], watermarks: dict[int, int]) -> None:
    """Each partition's records are placed as if they were alone."""
    whole, none, marks = counted(placed(events, watermarks))
    for one in {partition for partition, _, _ in events}:
        inside, late, after = counted(placed([event for event in events if event[0] == one], watermarks))
        assert inside == Counter({p: n for p, n in whole.items() if p[0] == one})  # type: ignore[index]  # a place
        assert late == Counter({p: n for p, n in none.items() if p[0] == one})  # type: ignore[index]
        assert after == {one: marks[one]}
