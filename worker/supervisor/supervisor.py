"""Several processes, a command each, as one: one exit code, one port for metrics and health.

- A process that ends unasked is started again, at once the first time, then with growing delays; unless its exit code
  says that a restart is pointless: then all are stopped, and that code is the supervisor's.
- SIGTERM and SIGINT are handed on, once: the processes are in sessions of their own, where Ctrl-C does not reach them.
  They have the grace period to finish; a second signal, or its end, kills them.
- They do not outlive the supervisor, however it ends (``child.die_with_parent``).
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence

from worker.errors import ExitCode
from worker.supervisor.fleet import Fleet
from worker.supervisor.restarts import POINTLESS, RestartPolicy
from worker.supervisor.wakeups import STOP_SIGNALS, Wakeups
from worker.telemetry import catalogue as c
from worker.telemetry.health import PROGRESS_BOUND_SECONDS, START_BOUND_SECONDS
from worker.telemetry.http import TelemetryServer
from worker.telemetry.shared import SharedHealth, SharedMetrics, supervisor_registry

_log = logging.getLogger("worker.supervisor")


def supervise(
    commands: Sequence[Sequence[str]],
    *,
    grace_seconds: float,
    host: str,
    port: int,
    policy: RestartPolicy = RestartPolicy(),  # noqa: B008 - frozen
    bound_seconds: float = PROGRESS_BOUND_SECONDS,
    start_bound_seconds: float = START_BOUND_SECONDS,
) -> int:
    """Run each command in a process until a signal or a pointless restart; the exit code. Main thread only.

    Each of them calls ``join_supervisor`` first. Raises ConfigurationError when the port is taken or a command can't be
    started.
    """
    metrics = SharedMetrics()
    try:
        fleet = Fleet(commands, metrics, policy)
        registry, instruments = supervisor_registry(metrics, fleet.running)
        instruments.gauge(c.PROCESSES).set(len(commands))
        fleet.on_restart = instruments.counter(c.RESTARTS).inc
        health = SharedHealth(
            metrics,
            fleet.running,
            processes=len(commands),
            unix_time=time.time,
            bound_seconds=bound_seconds,
            start_bound_seconds=start_bound_seconds,
        )
        with Wakeups() as wakeups, TelemetryServer(registry, health, host=host, port=port) as server:
            _log.info("telemetry at http://%s:%d", host, server.port, extra={"processes": len(commands)})
            return _Supervision(fleet, health, grace_seconds).run(wakeups)
    finally:
        metrics.remove()


class _Supervision:
    """The loop: woken by signals, by the end of a process and by the clock."""

    def __init__(self, fleet: Fleet, health: SharedHealth, grace_seconds: float) -> None:
        self._fleet = fleet
        self._health = health
        self._grace_seconds = grace_seconds
        self._kill_at = float("inf")  # monotonic seconds; finite once we are stopping
        self._asked_to_stop = False
        self._code = int(ExitCode.OK)

    @property
    def _stopping(self) -> bool:
        return self._kill_at < float("inf")

    def run(self, wakeups: Wakeups) -> int:
        try:
            self._fleet.start_due()
            while not self._round(wakeups.wait(self._timeout_seconds())):
                pass
        finally:
            self._fleet.kill()
        return self._code

    def _round(self, signals: Sequence[signal.Signals]) -> bool:
        """Whether this was the last."""
        for number in signals:
            if number in STOP_SIGNALS and self._is_second(number):
                return True
        for code in self._fleet.reap():
            self._ended(code)
        if not self._stopping:
            self._fleet.start_due()
            return False
        if self._fleet.running() and time.monotonic() >= self._kill_at:
            _log.error("processes are still running after the grace period; killing them")
            self._code = self._code or ExitCode.STUCK
            return True
        return not self._fleet.running()

    def _is_second(self, number: signal.Signals) -> bool:
        if self._asked_to_stop:
            self._code = 128 + number
            _log.warning("second signal: killing all processes")
            return True
        self._asked_to_stop = True
        if not self._stopping:
            _log.info("%s: stopping", number.name)
            self._stop()
        return False

    def _ended(self, code: int) -> None:
        if self._stopping:
            before_it_could_catch_ours = code == 128 + signal.SIGTERM
            self._code = self._code or (ExitCode.OK if before_it_could_catch_ours else code)
        elif code in POINTLESS:
            _log.error("a restart would be pointless after exit code %d (%s)", code, ExitCode(code).name.lower())
            self._code = code
            self._stop()

    def _stop(self) -> None:
        self._health.stopping()
        self._kill_at = time.monotonic() + self._grace_seconds
        self._fleet.signal(signal.SIGTERM)

    def _timeout_seconds(self) -> float | None:
        if self._stopping:
            return max(0.0, self._kill_at - time.monotonic())
        return self._fleet.seconds_until_due()
