"""Batches as columns: slices, rows, and what may be committed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.records import Record, RecordBatch, Slices, TopicPartition

ITEMS = st.lists(st.none() | st.binary(max_size=5), max_size=20)


@given(ITEMS)
def test_slices_round_trip(items: list[bytes | None]) -> None:
    """Byte strings come back as they went in; null and empty stay apart."""
    slices = Slices.of(items)
    assert len(slices) == len(items)
    assert slices.to_list() == items
    assert [slices[i] for i in range(len(items))] == items
    assert Slices(bytearray(slices.buffer), slices.start, slices.end).to_list() == items


@given(ITEMS, st.data())
def test_slices_take(items: list[bytes | None], data: st.DataObject) -> None:
    """Any rows, in any order, can be taken."""
    rows = data.draw(st.lists(st.integers(0, len(items) - 1))) if items else []
    assert Slices.of(items).take(np.array(rows, np.int64)).to_list() == [items[row] for row in rows]


def record(partition: int, offset: int, **more: object) -> Record:
    return Record("t", partition, offset, 5, b"k", b"value", **more)  # type: ignore[arg-type]  # headers alone


def test_batch_round_trip() -> None:
    """A batch gives each record back as it was."""
    records = [record(0, 4), record(1, 9, headers=(("h", b"1"),)), Record("t", 0, 5, 6, None, None)]
    batch = RecordBatch.of(records)
    assert [batch.record(i) for i in range(len(batch))] == records
    assert batch.headers == {1: (("h", b"1"),)}
    assert batch.size_bytes == 12


def test_first_and_next_offsets() -> None:
    """A rewind goes to each partition's first offset; what is committed is the one after its last."""
    batch = RecordBatch.of([record(1, 7), record(0, 3), record(1, 12), record(0, 4)])
    assert batch.first_offsets() == {TopicPartition("t", 0): 3, TopicPartition("t", 1): 7}
    assert batch.next_offsets() == {TopicPartition("t", 0): 5, TopicPartition("t", 1): 13}


@pytest.mark.parametrize("records", [[], [Record("a", 0, 0, 0, None, None), Record("b", 0, 0, 0, None, None)]])
def test_one_topic(records: list[Record]) -> None:
    """A batch is of exactly one topic."""
    with pytest.raises(ValueError, match="one topic"):
        RecordBatch.of(records)


def test_topic_partition_reads_well() -> None:
    """A partition is shown as in Kafka's own logs."""
    assert str(TopicPartition("t", 3)) == "t[3]"
