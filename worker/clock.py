"""The real clock; tests move one by hand (``worker.testing.ManualClock``)."""

from __future__ import annotations

import time


class SystemClock:
    """Implements ``ports.Clock``."""

    def monotonic(self) -> float:
        return time.monotonic()
