"""Ends the process when a call that must return does not.

``send_offsets_to_transaction`` may ignore its timeout for ever (librdkafka #5456), and a consumer stuck in a call
still heartbeats: only the end of the process frees its partitions.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from worker.errors import ExitCode
from worker.ports import Clock

_LOG = logging.getLogger(__name__)


def end_process(call: str, seconds: float) -> NoReturn:
    """The one way out of a call that holds the main thread."""
    _LOG.critical("%s has not returned for %.0f s: ending the process", call, seconds)
    os._exit(ExitCode.STUCK)


class Watchdog:
    """Guards one call at a time. ``start`` runs the check in a thread; tests call ``check`` themselves."""

    def __init__(self, seconds: float, clock: Clock, on_stuck: Callable[[str, float], object] = end_process) -> None:
        self._seconds = seconds
        self._clock = clock
        self._on_stuck = on_stuck
        self._guarded: tuple[str, float, float] | None = None
        self._stopped = threading.Event()

    @contextmanager
    def guard(self, call: str, seconds: float | None = None) -> Iterator[None]:
        """The block must end within ``seconds`` (default: the watchdog's own)."""
        outer = self._guarded
        begun = self._clock.monotonic()
        self._guarded = (call, begun, begun + (seconds or self._seconds))
        try:
            yield
        finally:
            self._guarded = outer

    def check(self) -> None:
        guarded = self._guarded
        if guarded is not None and self._clock.monotonic() >= guarded[2]:
            self._on_stuck(guarded[0], self._clock.monotonic() - guarded[1])

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(0.25):
            self.check()
