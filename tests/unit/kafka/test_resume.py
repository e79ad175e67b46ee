"""What stays of a partition's memory when it is let go on."""

from __future__ import annotations

from confluent_kafka import TopicPartition as Position

from worker.kafka.resume import _resumed, _tripped
from worker.pipeline.partition_state import Counters, PartitionState


def test_event_time_stays() -> None:
    """Resuming forgets what had stopped the partition, and not how far event time had come: late stays late."""
    stopped = PartitionState("digest", Counters(9, 9, 9, "9 refused in a row"), 1_356_998_400_000)
    position = Position("in", 0, 7, stopped.text())
    assert _tripped(position) == "9 refused in a row"
    resumed = Position("in", 0, 7, _resumed(position))
    assert _tripped(resumed) == ""
    assert PartitionState.read(resumed.metadata or "").watermark_ms == 1_356_998_400_000


def test_nothing_to_keep() -> None:
    """Without event time nothing is kept at all."""
    assert _resumed(Position("in", 0, 7, PartitionState("d", Counters(9, 9, 9, "9 refused in a row")).text())) == ""
    assert _resumed(Position("in", 0, 7)) == ""
