"""Ends the process when a call that must return does not.

``send_offsets_to_transaction`` may ignore its timeout for ever (librdkafka #5456), and a consumer stuck in a call
still heartbeats: only the end of the process frees its partitions.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import NoReturn

from worker.errors import ExitCode
from worker.ports import Clock

_LOG = logging.getLogger(__name__)


def end_process(call: str, seconds: float) -> NoReturn:
    """The one way out of a call that holds the main thread."""
    _LOG.critical("%s has not returned for %.0f s: ending the process", call, seconds)
    os._exit(ExitCode.STUCK)


class Guard:
    """The block that a watchdog guards; within another one it takes that one's place."""

    __slots__ = ("_guarded", "_outer", "_watchdog")

    def __init__(self, watchdog: Watchdog, guarded: tuple[str, float, float]) -> None:
        self._watchdog = watchdog
        self._guarded = guarded
        self._outer: tuple[str, float, float] | None = None

    def __enter__(self) -> None:
        self._outer, self._watchdog.guarded = self._watchdog.guarded, self._guarded

    def __exit__(self, *_: object) -> None:
        self._watchdog.guarded = self._outer


class Watchdog:
    """Guards one call at a time. ``start`` runs the check in a thread; tests call ``check`` themselves."""

    def __init__(self, seconds: float, clock: Clock, on_stuck: Callable[[str, float], object] = end_process) -> None:
        self._seconds = seconds
        self._clock = clock
        self._on_stuck = on_stuck
        self.guarded: tuple[str, float, float] | None = None
        """What is guarded now, since when and until when."""
        self._stopped = threading.Event()

    def guard(self, call: str, seconds: float | None = None) -> Guard:
        """A block that must end within ``seconds`` (default: the watchdog's own)."""
        begun = self._clock.monotonic()
        return Guard(self, (call, begun, begun + (seconds or self._seconds)))

    def check(self) -> None:
        guarded = self.guarded
        if guarded is not None and self._clock.monotonic() >= guarded[2]:
            self._on_stuck(guarded[0], self._clock.monotonic() - guarded[1])

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(0.25):
            self.check()
