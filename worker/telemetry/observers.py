"""Several observers as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.ports import BatchReport, Observer
from worker.records import TopicPartition


class Observers:
    """Tells each in turn, in the order given. One that raises has a bug, and stops the worker like any other bug."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def started(self) -> None:
        for observer in self._observers:
            observer.started()

    def progressed(self) -> None:
        for observer in self._observers:
            observer.progressed()

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        for observer in self._observers:
            observer.lagging(lag)

    def delivered(self, report: BatchReport) -> None:
        for observer in self._observers:
            observer.delivered(report)

    def aborted(self, error: Exception) -> None:
        for observer in self._observers:
            observer.aborted(error)

    def assignment(self, partitions: int) -> None:
        for observer in self._observers:
            observer.assignment(partitions)

    def stopped(self) -> None:
        for observer in self._observers:
            observer.stopped()
