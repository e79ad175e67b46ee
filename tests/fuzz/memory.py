"""Does the worker's memory grow with the records it has answered?

Judged by the least-squares line through what was resident after each slice of the stream, the first quarter left out:
there pools, caches and the largest batches are met for the first time. What the line rises over the rest must be below
``MOST_GROWTH_MB``. Between slices of equal work the allocator gives some 3 MB back and takes them again, which tilts
the line of a sound worker by up to 2.6 MB, up or down. So a leak is found, at the latest, from 100 bytes a mutated
record over 100,000 of them, and from 300 over 20,000: a Python object and what holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WARM_UP_SHARE = 0.25
MOST_GROWTH_MB = 4.0


@dataclass(frozen=True, slots=True)
class Sample:
    answered: int
    resident_mb: float


def resident_mb(pid: int) -> float:
    """VmRSS; nan once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), float("nan"))


def warm(samples: Sequence[Sample]) -> list[Sample]:
    return list(samples[int(len(samples) * WARM_UP_SHARE) :])


def growth_mb(samples: Sequence[Sample]) -> float:
    """What the line rises from the end of the warm-up to the last sample."""
    judged = warm(samples)
    answered = [sample.answered for sample in judged]
    slope: float = np.polyfit(answered, [sample.resident_mb for sample in judged], 1)[0]
    return float(slope) * (answered[-1] - answered[0])


def thirds_mb(samples: Sequence[Sample]) -> tuple[float, float]:
    """Medians of the middle and of the last third of the warm samples."""
    resident = [sample.resident_mb for sample in warm(samples)]
    third = len(resident) // 3
    return float(np.median(resident[third:-third])), float(np.median(resident[-third:]))
