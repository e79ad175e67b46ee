"""Signals as something to wait for, so that no work is done inside a signal handler and nothing is polled."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Wakeups:
    """While entered, SIGTERM, SIGINT and SIGCHLD end a ``wait`` instead of the process. Main thread only.

    Handlers, unlike blocked signals, are not inherited by the processes that are started meanwhile.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._fd_before = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            self._before[number] = signal.signal(number, _noted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self._read_end)
        os.close(self._write_end)

    def wait(self, timeout_seconds: float | None) -> Sequence[signal.Signals]:
        """Block until a signal or the time-out (None: no time-out); the signals since the last call, in order."""
        ready, _, _ = select.select([self._read_end], [], [], timeout_seconds)
        return [signal.Signals(number) for number in os.read(self._read_end, 4096)] if ready else []


def _noted(number: int, frame: FrameType | None) -> None:
    """The wakeup descriptor has it already."""
