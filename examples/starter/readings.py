"""Made-up sensor readings, the same for the same day each time; put your own data here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

FEATURES = ("temperature_c", "vibration_mm_s", "load_percent", "hours_since_service", "humidity_percent")
FIRST_DAY = datetime(2025, 6, 1, tzinfo=UTC)
MACHINES = 24
READINGS_A_DAY = 4_800


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings in order of time: ``rows`` is float64 (n, features), NaN where there is no value.

    ``times_ms`` are int64 (n,), UTC; ``machines`` number the machine of each; ``outcomes`` are texts (n,): "service" or "fine".
    """

    rows: np.ndarray[Any, np.dtype[np.float64]]
    times_ms: np.ndarray[Any, np.dtype[np.int64]]
    machines: np.ndarray[Any, np.dtype[np.int64]]
    outcomes: np.ndarray[Any, np.dtype[np.str_]]

    def events(self) -> Iterator[dict[str, Any]]:
        """One mapping by reading.avsc each."""
        for number, (row, time_ms, machine) in enumerate(
            zip(self.rows.tolist(), self.times_ms.tolist(), self.machines.tolist(), strict=True)
        ):
            event: dict[str, Any] = dict(zip(FEATURES, row, strict=True))
            event["hours_since_service"] = int(event["hours_since_service"])
            event["humidity_percent"] = None if np.isnan(row[-1]) else row[-1]
            yield {
                "id": f"m{machine:02}-{time_ms}-{number}",
                "measured_at": time_ms,
                "machine": f"m{machine:02}",
                **event,
            }


def readings(first_day: int, days: int, *, warmer: float = 0.0) -> Readings:
    """Of ``days`` days, the first of which is number ``first_day``; ``warmer``: degrees by which every bearing is hotter."""
    random, count = np.random.default_rng(first_day), days * READINGS_A_DAY
    begin_ms = int((FIRST_DAY + timedelta(days=first_day - 1)).timestamp() * 1_000)
    times_ms = begin_ms + np.arange(count, dtype=np.int64) * (86_400_000 // READINGS_A_DAY)
    machines = random.integers(0, MACHINES, count)
    load = np.clip(random.normal(65, 15, count), 0, 110)
    hours = random.integers(0, 2_000, count)
    temperature = 45 + 0.25 * load + 0.004 * hours + random.normal(0, 4, count) + warmer
    vibration = np.exp(random.normal(0.6, 0.35, count) + hours / 4_000)
    humidity = np.where(machines % 3 == 0, np.nan, np.clip(random.normal(50, 12, count), 0, 100))
    strain = 0.22 * (temperature - 66) + 1.1 * (vibration - 2.6) + 0.0012 * (hours - 1_000)
    wears_out = random.random(count) < 1 / (1 + np.exp(-strain))
    rows = np.column_stack([temperature, vibration, load, hours.astype(np.float64), humidity])
    return Readings(rows, times_ms, machines, np.where(wears_out, "service", "fine"))
