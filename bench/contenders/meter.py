"""What a contender tells of itself; the same for all, so that the figures compare."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench.contenders.run import Run
from worker.ports import BatchReport
from worker.records import TopicPartition

STAGES = ("decode", "validate", "predict", "encode", "count", "deliver")
MOST_IDLE_SECONDS = 60.0
MOST_START_SECONDS = 120.0


class Meter:
    """The clocks start when the first batch is in hand, so that starting up is no part of the rate.

    ``polled`` is called after a poll, ``nothing`` when it brought no records after all, ``answered`` when so many more
    records are delivered and committed.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._begun: float | None = None
        self._cpu_begun = 0.0
        self._answered_at = 0.0
        self._first_after = 0.0
        self._sample_at = 0.0
        self.records = 0
        self.batches = 0
        self.refused = 0
        self.stage_seconds: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        if self._begun is None:
            if seconds_since_start() > MOST_START_SECONDS:
                sys.exit(f"no first record within {MOST_START_SECONDS:.0f} s")
            return False
        now = time.perf_counter()
        if now - self._answered_at > MOST_IDLE_SECONDS:
            sys.exit(f"no records for {MOST_IDLE_SECONDS:.0f} s after {self.records:,} of {self._run.events:,}")
        return self.records >= self._run.events or (0 < self._run.seconds <= now - self._begun)

    def polled(self) -> None:
        if self._begun is None:
            self._begun = self._answered_at = time.perf_counter()
            self._cpu_begun = time.process_time()

    def nothing(self) -> None:
        if not self.records:
            self._begun = None

    def answered(self, records: int) -> None:
        self._answered_at = time.perf_counter()
        self._first_after = self._first_after or seconds_since_start()
        self.records += records
        self.batches += 1
        if self._run.sample_seconds and self._answered_at >= self._sample_at:
            self._sample_at = self._answered_at + self._run.sample_seconds
            sample = {"seconds": self._elapsed, "records": self.records, "resident_mb": memory_mb("VmRSS")}
            print(json.dumps({"sample": sample}), flush=True)

    def figures(self) -> dict[str, float]:
        """Rates in events a second, CPU and stages in microseconds an event, memory in MB."""
        cpu = time.process_time() - self._cpu_begun
        stages = {f"{name}_us": 1e6 * seconds / self.records for name, seconds in self.stage_seconds.items()}
        return {
            "records": self.records,
            "refused": self.refused,
            "rate": self.records / self._elapsed,
            "cpu_us": 1e6 * cpu / self.records,
            "peak_mb": memory_mb("VmHWM"),
            "first_seconds": self._first_after,
            "batch_records": self.records / self.batches,
            **stages,
        }

    @property
    def _elapsed(self) -> float:
        assert self._begun is not None  # something was answered
        return self._answered_at - self._begun


class MeterObserver:
    """Implements ``ports.Observer``: the worker's own reports to the meter."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def started(self) -> None: ...

    def progressed(self) -> None:
        self._meter.polled()

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:  # noqa: ARG002 - the protocol's signature
        self._meter.nothing()

    def delivered(self, report: BatchReport) -> None:
        for stage in STAGES:
            self._meter.stage_seconds[stage] += getattr(report, f"{stage}_seconds")
        self._meter.refused += len(report.refusals)
        self._meter.answered(report.records)

    def aborted(self, error: Exception) -> None:
        sys.exit(f"a delivery was aborted: {error}")

    def assignment(self, partitions: int) -> None: ...

    def stopped(self) -> None: ...


def memory_mb(name: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this program alone: ``ru_maxrss`` would count what the process was before exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024


def seconds_since_start() -> float:
    """Since this process was started, the interpreter's own start included; to 10 ms."""
    after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_name[19]) / os.sysconf("SC_CLK_TCK")
