"""What a joiner says of itself, and what the monitor says of realised quality."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.monitor.test_encoding import QUALITY
from worker.drift.outcome import Outcome
from worker.quality.sketch import QualitySketch
from worker.quality.tally import Tally
from worker.records import TopicPartition
from worker.telemetry.health import ProcessHealth
from worker.telemetry.joining import JoinerTelemetry
from worker.telemetry.monitoring import MonitorTelemetry
from worker.testing import ManualClock


def test_labels_by_outcome(caplog: pytest.LogCaptureFixture) -> None:
    """Each label is counted once, by what became of it; a contradiction is told of."""
    registry = CollectorRegistry()
    telemetry = JoinerTelemetry(registry, ProcessHealth(ManualClock()), unix_time=lambda: 1_000.0)
    telemetry.started()
    telemetry.assignment(3)
    tally = Tally(Counter(predictions=9, labelled=7, doubled=3, contradicting=1))
    telemetry.joined(QualitySketch("m", 60, 60, 60, (), {0: 2}, {("1", "primary", 0): tally}), held=5, records=20)
    telemetry.refused(1, 4)
    found = {
        outcome: registry.get_sample_value("labels_total", {"outcome": outcome})
        for outcome in ("joined", "doubled", "contradicting", "unmatched", "refused")
    }
    assert found == {"joined": 7, "doubled": 2, "contradicting": 1, "unmatched": 2, "refused": 4}
    assert registry.get_sample_value("labels_held_predictions") == 5
    assert registry.get_sample_value("labels_records_consumed_total") == 20
    assert registry.get_sample_value("labels_assigned_partitions") == 3
    assert registry.get_sample_value("labels_predictions_refused_total") == 1
    assert "contradict an earlier one of their event: 1" in caplog.text
    telemetry.stopped()
    assert registry.get_sample_value("worker_ready") == 0


def test_lag_of_both_topics() -> None:
    """What is left of each partition of ours is shown, and no more once it is somebody else's."""
    registry = CollectorRegistry()
    telemetry = JoinerTelemetry(registry, ProcessHealth(ManualClock()), unix_time=lambda: 1_000.0)

    def shown(topic: str, partition: int) -> float | None:
        return registry.get_sample_value("labels_lag_records", {"topic": topic, "partition": str(partition)})

    telemetry.lagging({TopicPartition("p", 0): 3, TopicPartition("l", 0): 4, TopicPartition("l", 1): 5})
    assert (shown("p", 0), shown("l", 0), shown("l", 1)) == (3, 4, 5)
    telemetry.lagging({TopicPartition("l", 0): 2})
    assert (shown("p", 0), shown("l", 0), shown("l", 1)) == (None, 2, None)
    telemetry.stopped()
    assert shown("l", 0) is None


def test_realised_quality() -> None:
    """The monitor shows the figures of the latest window, the share of labels, and the detector's score."""
    registry = CollectorRegistry()
    telemetry = MonitorTelemetry(registry, ProcessHealth(ManualClock()), "m", unix_time=lambda: 1_000.0)
    telemetry.judged(Outcome(quality=(QUALITY,)), 2, 1)
    which = {"model": "m", "version": "1.0.0", "variant": "primary"}
    assert registry.get_sample_value("quality_realised", {**which, "figure": "accuracy"}) == 0.5
    assert registry.get_sample_value("quality_labelled_ratio", which) == 0.875
    assert registry.get_sample_value("quality_windows_closed_total", {"model": "m"}) == 1
    score = {"model": "m", "version": "1.0.0", "series": "prediction.error", "what": "concept"}
    assert registry.get_sample_value("drift_score", score) == 2
    episodes = [registry.get_sample_value(f"{of}_open_episodes", {"model": "m"}) for of in ("drift", "quality")]
    assert episodes == [2, 1]
