"""The joiner beside the workers: what it must have in common with them, and the memory that it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from worker.doctor import Finding
from worker.doctor.findings import error, warning
from worker.planning.manifests import Workload
from worker.planning.sizing import LIMIT_OVER_NEED, MIB, Load
from worker.settings import Settings

# Of interpreter and libraries (125 MB were measured); and of a prediction that is held with its label (0.8 kB, by ids of 30 bytes).
BASE_BYTES, HELD_BYTES = 160 * MIB, 1_024
_LIMIT_STEP = 64 * MIB


@dataclass(frozen=True, slots=True)
class JoinerMemory:
    """Bytes. ``base``: of each joiner; ``held``: of all together, if the peak lasts for a horizon; None: no load is known."""

    base: int = BASE_BYTES
    held: int | None = None

    def need(self, joiners: int) -> int:
        """Of each of so many."""
        return self.base + math.ceil((self.held or 0) / joiners)

    def limit(self, joiners: int) -> int:
        return math.ceil(self.need(joiners) * LIMIT_OVER_NEED / _LIMIT_STEP) * _LIMIT_STEP


def joiner_memory(settings: Settings, load: Load | None) -> JoinerMemory:
    """What a join holds is the predictions of a horizon, each of which may have its label."""
    horizon = settings.labels.horizon_seconds
    return JoinerMemory(held=None if load is None or horizon is None else round(load.peak * horizon * HELD_BYTES))


def check_joiner(workload: Workload, settings: Settings, workers: Settings | None) -> Iterator[Finding]:
    """``workers``: the settings of those whose predictions it joins, where they are in the manifests, too."""
    if not settings.labels.enabled:
        yield error(
            "labels",
            f"{workload.name} runs `prediction-worker join`, and labels.horizon_seconds is not set",
            "say how long after its event a label may come, in seconds",
        )
    if workers is None:
        return
    for name, own, theirs in (
        ("kafka.group", settings.kafka.group, workers.kafka.group),
        ("topics.input", settings.topics.input, workers.topics.input),
        ("topics.predictions", settings.topics.predictions, workers.topics.predictions),
    ):
        if own != theirs:
            yield error("labels", f"{workload.name} has {name} {own!r}, the workers have {theirs!r}", "let them agree")


def check_joiner_memory(workload: Workload, joiners: int, memory: JoinerMemory) -> Iterator[Finding]:
    """An error is what no joiner can do with; a peak that lasts for a horizon is the worst case, and a warning."""
    limit = workload.resource("limits", "memory")
    if limit is None:
        yield warning("memory", f"{workload.name} has no memory limit", "set resources.limits.memory")
        return
    fix = f"set resources.limits.memory to {memory.limit(joiners) / MIB:.0f}Mi"
    if limit < memory.base:
        need = f"{limit / MIB:,.0f} MiB, and needs about {memory.need(joiners) / MIB:,.0f}"
        yield error("memory", f"{workload.name} may have {need}", fix)
    elif limit < memory.need(joiners):
        need = (
            f"{limit / MIB:,.0f} MiB, and needs about {memory.need(joiners) / MIB:,.0f} if the peak lasts for a horizon"
        )
        yield warning("memory", f"{workload.name} may have {need}", f"{fix}, or have more joiners")
