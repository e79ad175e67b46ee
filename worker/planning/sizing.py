"""Rates to processes, processes to partitions, settings to memory.

With a peak of r events a second, c events a second of one process and a target utilisation u, the stream needs
⌈r / (u·c)⌉ processes. An outage of t seconds leaves a backlog of r·t; to work it off in s seconds beside what goes on
coming takes r + r·t/s events a second, so ⌈(r + r·t/s) / c⌉ processes at full load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from worker.settings import Settings

MIB = 1 << 20
# Of the interpreter and libraries, measured (docs/benchmarks.md: 216 MB at full load with batches of 1.7 MB).
BASE_BYTES = 180 * MIB
# What librdkafka keeps beside each record that waits, and what columns, outputs and their copies take of a batch.
BESIDE_RECORD_BYTES, BATCH_COPIES, MODEL_COPIES = 400, 12, 3
PREFETCH_BYTES = 8 * MIB
LIMIT_OVER_NEED = 1.5
_LIMIT_STEP = 64 * MIB
# Counts that many numbers of processes divide, so that each has as many partitions as the next.
_EVEN = (1, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 60)


@dataclass(frozen=True, slots=True)
class Load:
    """Events a second at the peak, and of one process when it is never idle; how long an outage is, and how soon after it
    the backlog must be gone, in seconds. ``growth``: room in partitions, which can't be taken away again.
    """

    peak: float
    per_process: float
    outage_seconds: float = 300.0
    catch_up_seconds: float = 600.0
    utilisation: float = 0.7
    growth: float = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``steady``: processes at the peak; ``most``: to catch up as well; ``least``: for the autoscaler, so that one may go."""

    least: int
    steady: int
    most: int
    partitions: int
    backlog: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process, by what takes them."""

    base: int
    model: int
    prefetch: int
    batch: int

    @property
    def need(self) -> int:
        return self.base + self.model + self.prefetch + self.batch

    @property
    def limit(self) -> int:
        """With room over the need, in steps of 64 MiB."""
        return math.ceil(self.need * LIMIT_OVER_NEED / _LIMIT_STEP) * _LIMIT_STEP


def plan_for(load: Load) -> Plan:
    """Processes and partitions for a load."""
    steady = max(1, math.ceil(load.peak / (load.utilisation * load.per_process)))
    backlog = load.peak * load.outage_seconds
    most = max(steady, math.ceil((load.peak + backlog / load.catch_up_seconds) / load.per_process))
    return Plan(
        least=min(2, most),
        steady=steady,
        most=most,
        partitions=_even(math.ceil(most * load.growth)),
        backlog=round(backlog),
    )


def memory_of(settings: Settings, *, record_bytes: float, bundle_bytes: int) -> Memory:
    """An estimate, from the settings' bounds; ``record_bytes``: of a record on average."""
    delivery = settings.delivery
    batch = min(delivery.max_batch_bytes, delivery.max_batch_records * record_bytes)
    return Memory(
        base=BASE_BYTES,
        model=MODEL_COPIES * bundle_bytes,
        prefetch=round(PREFETCH_BYTES * (1 + BESIDE_RECORD_BYTES / record_bytes)),
        batch=round(BATCH_COPIES * batch),
    )


def _even(count: int) -> int:
    step = _EVEN[-1]
    return next((even for even in _EVEN if even >= count), math.ceil(count / step) * step)
