"""The processes of a supervisor: starting, reaping, signalling them; deciding nothing but when to start one again."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.errors import ConfigurationError
from worker.supervisor.child import SLOT_VARIABLE, SUPERVISOR_VARIABLE
from worker.supervisor.restarts import RestartPolicy, exit_status
from worker.telemetry.shared import RunningProcess, SharedMetrics

_log = logging.getLogger("worker.supervisor")


@dataclass(slots=True)
class _Slot:
    """One of the N, with what runs in it; ``process`` is None while it waits until ``due_at`` (monotonic seconds) to be started."""

    number: int
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    started_at_unix: float = 0.0
    failures: int = 0
    due_at: float = 0.0


class Fleet:
    """As many slots as there should be processes, each with its process or the time at which it gets a new one."""

    def __init__(self, commands: Sequence[Sequence[str]], metrics: SharedMetrics, policy: RestartPolicy) -> None:
        self._metrics = metrics
        self._policy = policy
        self._slots = [_Slot(number, list(command)) for number, command in enumerate(commands)]
        self._running: Mapping[int, RunningProcess] = {}
        self.on_restart: Callable[[], None] = lambda: None

    def running(self) -> Mapping[int, RunningProcess]:
        """By slot; replaced, never changed, since the HTTP server's threads read it."""
        return self._running

    def start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is None and slot.due_at <= now:
                self._start(slot)
        self._publish()

    def reap(self) -> list[int]:
        """Exit codes of the processes that have ended since the last call; each is due for a restart."""
        ended = [slot for slot in self._slots if slot.process is not None and slot.process.poll() is not None]
        codes = [self._bury(slot) for slot in ended]
        self._publish()
        return codes

    def seconds_until_due(self) -> float | None:
        due = [slot.due_at for slot in self._slots if slot.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def signal(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.process is not None:
                slot.process.send_signal(number)

    def kill(self) -> None:
        """End whatever still runs, and wait for it."""
        self.signal(signal.SIGKILL)
        for slot in self._slots:
            if slot.process is not None:
                slot.process.wait()
        self.reap()

    def _start(self, slot: _Slot) -> None:
        slot.started_at, slot.started_at_unix = time.monotonic(), time.time()
        if slot.failures:
            self.on_restart()
        try:
            slot.process = subprocess.Popen(  # noqa: S603 - the caller's own command
                slot.command, env=self._environment(slot), stdin=subprocess.DEVNULL, start_new_session=True
            )
        except (FileNotFoundError, PermissionError) as error:
            raise ConfigurationError(f"can't start {slot.command[0]}: {error.strerror}") from None
        except OSError as error:  # out of processes or memory: may pass
            self._failed(slot, error.strerror or "can't be started")

    def _environment(self, slot: _Slot) -> dict[str, str]:
        ours = {SLOT_VARIABLE: str(slot.number), SUPERVISOR_VARIABLE: str(os.getpid())}
        return {**os.environ, **self._metrics.environment(), **ours}

    def _bury(self, slot: _Slot) -> int:
        assert slot.process is not None  # reaped just now
        code = exit_status(slot.process.returncode)
        self._metrics.forget_gauges(slot.number)
        self._failed(slot, f"process {slot.process.pid} ended with exit code {code}")
        slot.process = None
        return code

    def _failed(self, slot: _Slot, problem: str) -> None:
        now = time.monotonic()
        slot.failures = self._policy.failures(slot.failures, now - slot.started_at)
        delay = self._policy.delay_seconds(slot.failures, random.random())  # noqa: S311 - jitter
        slot.due_at = now + delay
        _log.info("%s", problem, extra={"slot": slot.number, "failures_in_a_row": slot.failures})

    def _publish(self) -> None:
        self._running = {
            slot.number: RunningProcess(slot.process.pid, slot.started_at_unix)
            for slot in self._slots
            if slot.process is not None
        }
