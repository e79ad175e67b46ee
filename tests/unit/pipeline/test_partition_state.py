"""What is remembered of a partition survives being committed, and is read from what older workers committed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.pipeline.partition_state import Counters, PartitionState

COUNTS = st.integers(0, 2**40)
STATES = st.builds(
    PartitionState, st.text(max_size=5), st.builds(Counters, COUNTS, COUNTS, COUNTS, st.text(max_size=5)), COUNTS
)


@given(STATES)
def test_round_trip(state: PartitionState) -> None:
    """What is read is what was committed, and it is JSON."""
    assert PartitionState.read(state.text()) == state
    assert json.loads(state.text())["v"] == 1


def test_before_there_were_watermarks() -> None:
    """What older workers committed counts; no event time is known of it."""
    text = '{"v":1,"digest":"d1","seen":7,"refused":2,"run":1,"tripped":"7 of 9"}'
    assert PartitionState.read(text) == PartitionState("d1", Counters(7, 2, 1, "7 of 9"))
    assert PartitionState("d1", Counters(7, 2, 1, "7 of 9")).text() == text


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "5", "null", "{}", '{"v":99}', '{"v":1}', '{"v":1,"digest":"d1","seen":"many"}']
)
def test_foreign_metadata(text: str) -> None:
    """Metadata that is not ours means nothing, and stops nothing."""
    assert PartitionState.read(text) == PartitionState()
