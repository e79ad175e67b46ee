"""The observer that counts, on a hand-moved clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from prometheus_client import CollectorRegistry

from worker.ports import BatchReport
from worker.records import REASONS, Reason, Refusal, Refusals, Stage, TopicPartition
from worker.telemetry.metrics import Build, MetricsObserver

P0, P1 = TopicPartition("flights", 0), TopicPartition("flights", 1)
REPORT = BatchReport(
    records=10,
    predictions=7,
    tombstones=1,
    refusals=Refusals.of(
        (
            Refusal(1, Stage.DECODE, Reason.MALFORMED, "ends early"),
            Refusal(2, Stage.DECODE, Reason.MALFORMED, "ends early"),
        )
    ),
    input_bytes=1_234,
    oldest_timestamp_ms=999_000,
    decode_seconds=0.001,
    validate_seconds=0.002,
    predict_seconds=0.003,
    encode_seconds=0.004,
    count_seconds=0.0045,
    deliver_seconds=0.005,
    lag={P0: 5, P1: 6},
)


@dataclass
class HandMoved:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An observer, its clock, and a look at what it shows."""

    def __init__(self) -> None:
        self.clock = HandMoved()
        self.registry = CollectorRegistry()
        build = Build("1.2.3", "delay", "2.0.0", "exactly-once")
        self.observer = MetricsObserver(self.registry, build, unix_time=self.clock)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def lag(self) -> Mapping[str, float]:
        samples = [s for family in self.registry.collect() for s in family.samples if s.name == "consumer_lag_records"]
        return {s.labels["partition"]: s.value for s in samples}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_delivered_batch_is_counted(bench: Bench) -> None:
    """Records in are predictions, dead letters and tombstones: the counters hold to the law of conservation."""
    bench.observer.delivered(REPORT)
    bench.observer.delivered(REPORT)
    bench.observer.lagging({})
    assert bench.value("worker_records_consumed_total") == 20
    assert bench.value("model_predictions_total", model="delay", version="2.0.0") == 14
    assert bench.value("worker_tombstones_total") == 2
    assert bench.value("worker_dead_letters_total", stage="decode", reason="malformed") == 4
    assert bench.value("worker_input_bytes_total") == 2_468
    assert bench.value("worker_batches_total", outcome="delivered") == 2
    assert bench.value("worker_batch_records_sum") == 20


@pytest.mark.parametrize("what_follows", ["time", "an idle round", "the end"])
def test_counted_together(bench: Bench, what_follows: str) -> None:
    """Reports that follow each other closely wait for each other, not longer than a tenth of a second; idle, not at all."""
    for _ in range(3):
        bench.observer.delivered(REPORT)
    assert bench.value("worker_records_consumed_total") == 10
    if what_follows == "time":
        bench.clock.now += 0.11
        bench.observer.delivered(REPORT)
    elif what_follows == "an idle round":
        bench.observer.lagging({P0: 5})
    else:
        bench.observer.stopped()
    assert bench.value("worker_records_consumed_total") == (40 if what_follows == "time" else 30)
    # Each with the time of its delivery.
    expected = 3 + 1.11 if what_follows == "time" else 3
    assert bench.value("event_end_to_end_seconds_sum") == pytest.approx(expected)


def test_counted_late(bench: Bench) -> None:
    """A report that waited does not bring back the lag of partitions that have gone meanwhile."""
    bench.observer.delivered(REPORT)
    bench.observer.delivered(REPORT)
    bench.observer.assignment(0)
    bench.clock.now += 1
    bench.observer.progressed()
    assert bench.lag() == {}


def test_dead_letters_are_counted_from_nought(bench: Bench) -> None:
    """Whatever a stage can refuse a record for is shown before the first, so that the first are an increase."""
    for stage, reasons in REASONS.items():
        assert [bench.value("worker_dead_letters_total", stage=stage, reason=reason) for reason in reasons] == [
            0 for _ in reasons
        ]


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        ("decode", 0.001),
        ("validate", 0.002),
        ("predict", 0.003),
        ("encode", 0.004),
        ("count", 0.0045),
        ("deliver", 0.005),
    ],
)
def test_stages_are_timed_once_a_batch(bench: Bench, stage: str, seconds: float) -> None:
    """Each stage's duration lands under its own name."""
    bench.observer.delivered(REPORT)
    assert bench.value("worker_stage_duration_seconds_sum", stage=stage) == seconds
    assert bench.value("worker_stage_duration_seconds_count", stage=stage) == 1


def test_the_model_is_timed_only_when_called(bench: Bench) -> None:
    """A batch without a row for the model does not make the model look fast."""
    bench.observer.delivered(REPORT)
    bench.observer.delivered(replace(REPORT, predictions=0, predict_seconds=0.0))
    assert bench.value("model_prediction_duration_seconds_count") == 1
    assert bench.value("model_prediction_duration_seconds_sum") == 0.003


def test_end_to_end_is_the_oldest_records_age(bench: Bench) -> None:
    """Now minus the oldest Kafka timestamp, once a batch."""
    bench.observer.delivered(REPORT)
    assert bench.value("event_end_to_end_seconds_sum") == pytest.approx(1.0)
    assert bench.value("event_end_to_end_seconds_count") == 1


def test_end_to_end_is_never_negative(bench: Bench) -> None:
    """A timestamp in the future is no age at all."""
    bench.observer.delivered(replace(REPORT, oldest_timestamp_ms=2_000_000))
    assert bench.value("event_end_to_end_seconds_sum") == 0
    assert bench.value("event_end_to_end_seconds_count") == 1


def test_no_timestamp_no_age(bench: Bench) -> None:
    """Kafka's -1 for "no timestamp" does not become an age of fifty years."""
    bench.observer.delivered(replace(REPORT, oldest_timestamp_ms=-1))
    assert bench.value("event_end_to_end_seconds_count") == 0


def test_an_aborted_batch_counts_only_as_that(bench: Bench) -> None:
    """Nothing of it is visible, so nothing of it is in the figures."""
    bench.observer.aborted(RuntimeError("coordinator moved"))
    assert bench.value("worker_batches_total", outcome="aborted") == 1
    assert bench.value("worker_batches_total", outcome="delivered") == 0
    assert bench.value("worker_records_consumed_total") == 0


def test_lag_is_shown_for_each_partition(bench: Bench) -> None:
    """Lag is the latest report's."""
    bench.observer.delivered(REPORT)
    assert bench.lag() == {"0": 5, "1": 6}


def test_the_last_lag_is_shown_in_the_end(bench: Bench) -> None:
    """Lag is written at most every half second, and what was held back comes with the next round of the loop."""
    bench.observer.delivered(REPORT)
    bench.clock.now += 0.1
    bench.observer.delivered(replace(REPORT, lag={P0: 0, P1: 0}))
    bench.observer.progressed()
    assert bench.lag() == {"0": 5, "1": 6}
    bench.clock.now += 0.4
    bench.observer.progressed()
    assert bench.lag() == {"0": 0, "1": 0}


def test_lag_of_a_lost_partition_ends(bench: Bench) -> None:
    """A partition that went to another worker does not go on reporting the lag it had here."""
    bench.observer.delivered(REPORT)
    bench.clock.now += 1
    bench.observer.delivered(replace(REPORT, lag={P1: 6}))
    assert bench.lag() == {"1": 6}
    bench.observer.assignment(0)
    assert bench.lag() == {}


def test_lag_of_a_partition_that_returns(bench: Bench) -> None:
    """A partition that comes back is shown again."""
    bench.observer.delivered(REPORT)
    bench.observer.assignment(0)
    bench.clock.now += 1
    bench.observer.delivered(replace(REPORT, lag={P0: 9}))
    assert bench.lag() == {"0": 9}


def test_ready_from_start_to_stop(bench: Bench) -> None:
    """Ready is 1 exactly between started and stopped."""
    assert bench.value("worker_ready") == 0
    bench.observer.started()
    assert bench.value("worker_ready") == 1
    bench.observer.stopped()
    assert bench.value("worker_ready") == 0


def test_progress_and_assignment(bench: Bench) -> None:
    """The loop's last round and the number of partitions are what was told last."""
    assert bench.value("worker_last_progress_timestamp_seconds") == 1_000  # from the start, so that no alert sees 1970
    bench.observer.assignment(3)
    bench.clock.now = 1_234.5
    bench.observer.progressed()
    assert bench.value("worker_last_progress_timestamp_seconds") == 1_234.5
    assert bench.value("worker_assigned_partitions") == 3
    bench.observer.stopped()
    assert bench.value("worker_assigned_partitions") == 0


def test_what_runs_is_told(bench: Bench) -> None:
    """Version, model and mode are labels of a constant."""
    labels = {"version": "1.2.3", "model": "delay", "model_version": "2.0.0", "mode": "exactly-once"}
    assert bench.value("worker_build_info", **labels) == 1
