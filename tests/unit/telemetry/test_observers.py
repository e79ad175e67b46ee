"""Several observers as one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.unit.telemetry.test_metrics import REPORT
from worker.ports import BatchReport
from worker.records import TopicPartition
from worker.telemetry.observers import Observers


@dataclass
class Recording:
    told: list[object] = field(default_factory=list)

    def started(self) -> None:
        self.told.append("started")

    def progressed(self) -> None:
        self.told.append("progressed")

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        self.told.append(lag)

    def delivered(self, report: BatchReport) -> None:
        self.told.append(report)

    def aborted(self, error: Exception) -> None:
        self.told.append(error)

    def assignment(self, partitions: int) -> None:
        self.told.append(partitions)

    def stopped(self) -> None:
        self.told.append("stopped")


def test_each_is_told_everything() -> None:
    """All observers hear the same, in the order in which it happened."""
    first, second = Recording(), Recording()
    observers = Observers((first, second))
    error = RuntimeError("x")
    observers.started()
    observers.assignment(2)
    observers.progressed()
    observers.lagging(REPORT.lag)
    observers.delivered(REPORT)
    observers.aborted(error)
    observers.stopped()
    assert first.told == second.told == ["started", 2, "progressed", REPORT.lag, REPORT, error, "stopped"]
