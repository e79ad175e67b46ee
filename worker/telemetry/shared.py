"""Metrics and health of several processes added up, on prometheus_client's multiprocess mode.

Each process keeps its figures in files of a common folder, named by its slot (0 to n-1), not its process id: a
replacement goes on counting where its predecessor was killed, and the number of files is bounded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from worker.telemetry import catalogue as c
from worker.telemetry.health import PROGRESS_BOUND_SECONDS, START_BOUND_SECONDS
from worker.telemetry.instruments import SHARED_DIRECTORY_VARIABLE, Instruments

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only the parent: mkdtemp makes the name and the access rights


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that should be making progress; ``started_at`` in Unix seconds."""

    pid: int
    started_at: float


Running = Callable[[], Mapping[int, RunningProcess]]  # by slot


def share_metrics(slot: int) -> None:
    """Let this process's metrics count towards the sum; before the first of them is built.

    The folder is named by the environment (``PROMETHEUS_MULTIPROC_DIR``), as prometheus_client wants it.
    """
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # the library's


class SharedMetrics(Collector):
    """The common folder, as seen by the parent; a collector of the sums."""

    def __init__(self) -> None:
        memory = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="prediction-worker-metrics-", dir=memory))

    def environment(self) -> dict[str, str]:
        """What the processes must find in their environment."""
        return {SHARED_DIRECTORY_VARIABLE: str(self.folder)}

    def collect(self) -> Iterable[Metric]:
        return self._merged("*.db")

    def gauge(self, metric: c.Metric, slot: int) -> float | None:
        """The latest value of an unlabelled gauge in one process; None: there is none."""
        merged = self._merged(f"gauge_{metric.merging}_{slot}.db")
        return next((sample.value for m in merged if m.name == metric.name for sample in m.samples), None)

    def forget_gauges(self, slot: int) -> None:
        """The process has ended: its gauges count no longer, its counters and histograms do."""
        mark_process_dead(slot, str(self.folder))  # type: ignore[no-untyped-call]  # the library's

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _merged(self, pattern: str) -> list[Metric]:
        files = [str(path) for path in self.folder.glob(pattern) if _size_bytes(path)]
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]  # the library's


class SharedHealth:
    """The probe for all: healthy when each running process makes progress, ready when every slot is.

    A slot that waits for its restart is not ready, yet no reason to restart the others with it.
    Progress is compared in wall time, since it crosses processes as a metric.
    """

    def __init__(
        self,
        metrics: SharedMetrics,
        running: Running,
        *,
        processes: int,
        unix_time: Callable[[], float],
        bound_seconds: float = PROGRESS_BOUND_SECONDS,
        start_bound_seconds: float = START_BOUND_SECONDS,
    ) -> None:
        self._metrics = metrics
        self._running = running
        self._processes = processes
        self._unix_time = unix_time
        self._bound_seconds = bound_seconds
        self._start_bound_seconds = start_bound_seconds
        self._stopping = False

    def stopping(self) -> None:
        self._stopping = True

    def unhealthy(self) -> str | None:
        problems = (self._hung(slot, process) for slot, process in self._running().items())
        return next((problem for problem in problems if problem), None)

    def unready(self) -> str | None:
        if self._stopping:
            return "stopping"
        ready = sum(self._metrics.gauge(c.READY, slot) == 1 for slot in self._running())
        return None if ready == self._processes else f"{ready} of {self._processes} processes are ready"

    def _hung(self, slot: int, process: RunningProcess) -> str | None:
        progressed_at = self._metrics.gauge(c.LAST_PROGRESS, slot) or process.started_at
        started = self._metrics.gauge(c.READY, slot) == 1
        bound = self._bound_seconds if started else self._start_bound_seconds
        silent = self._unix_time() - progressed_at
        if silent <= bound:
            return None
        return f"process {process.pid}: the loop has not advanced for {silent:.0f} s (bound: {bound:.0f} s)"


class ProcessTree(Collector):
    """``process_*`` for the parent and its running children: summed, but for the limit and the start time.

    The CPU time of children that have ended is in it too, so that the counter does not fall when one is replaced.
    """

    _GAUGES: Mapping[str, Callable[[list[float]], float]] = {
        "process_virtual_memory_bytes": sum,
        "process_resident_memory_bytes": sum,
        "process_open_fds": sum,
        "process_max_fds": min,
        "process_start_time_seconds": min,
    }

    def __init__(self, running: Running) -> None:
        self._running = running

    def collect(self) -> Iterable[Metric]:
        pids = [os.getpid(), *(process.pid for process in self._running().values())]
        found: dict[str, list[float]] = {}
        for pid in pids:
            for name, value in _process_figures(pid):
                found.setdefault(name, []).append(value)
        ended = os.times()
        cpu_seconds = sum(found.pop("process_cpu_seconds_total", [])) + ended.children_user + ended.children_system
        documentation = {metric.name: metric.documentation for metric in c.PROCESS_METRICS}
        yield CounterMetricFamily("process_cpu_seconds", documentation["process_cpu_seconds_total"], value=cpu_seconds)
        for name, figures in found.items():
            yield GaugeMetricFamily(name, documentation[name], value=self._GAUGES[name](figures))


def supervisor_registry(metrics: SharedMetrics, running: Running) -> tuple[CollectorRegistry, Instruments]:
    """What the parent serves, and its own metrics within."""
    registry = CollectorRegistry()
    registry.register(metrics)
    registry.register(ProcessTree(running))
    return registry, Instruments(registry, c.SUPERVISOR_METRICS)


def _process_figures(pid: int) -> Iterable[tuple[str, float]]:
    families = ProcessCollector(pid=lambda: pid, registry=None).collect()
    return [(sample.name, sample.value) for family in families for sample in family.samples]


def _size_bytes(path: Path) -> int:
    """0 for a file that a starting process has just made, or that is gone with an ended one."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
