"""How a command that goes on until a signal ends."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from worker.errors import ExitCode

if TYPE_CHECKING:
    from worker.telemetry.health import ProcessHealth


class Loop(Protocol):
    def stop(self) -> None:
        """Finish what is in hand, then end; safe to call from a signal handler."""
        ...


class StopOnSignals:
    """The first signal lets what is in hand finish, within the grace period; a second one ends the process at once.

    As long as there is no ``loop`` yet nothing is in hand, and the first signal simply ends the start.
    """

    def __init__(self, health: ProcessHealth, grace_seconds: float) -> None:
        self.loop: Loop | None = None
        self._health = health
        self._grace_seconds = grace_seconds
        self._stopping = False
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._stopping:
            os._exit(128 + number)
        self._stopping = True
        self._health.stopping()
        deadline = threading.Timer(self._grace_seconds, os._exit, (ExitCode.STUCK,))
        deadline.daemon = True
        deadline.start()
        if self.loop is None:
            raise SystemExit(ExitCode.OK)
        self.loop.stop()
