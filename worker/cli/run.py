"""``prediction-worker run``: predict, until a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import ConfigOption, settings_from
from worker.errors import ExitCode

if TYPE_CHECKING:
    from worker.service import PredictionWorker
    from worker.settings import Settings
    from worker.telemetry.health import ProcessHealth


def run(
    config: ConfigOption = None,
    processes: Annotated[
        int, typer.Option(help="So many workers on this machine, restarted when they crash.", min=1, max=256)
    ] = 1,
) -> None:
    """Predict the input topic until SIGTERM or Ctrl-C; what is in hand is finished first.

    For example:

        prediction-worker run --config worker.toml

        prediction-worker run --processes 4

        WORKER_KAFKA__BOOTSTRAP=broker:9092 prediction-worker run

    Exit codes: 0 stopped, 3 configuration, 4 model, 5 broker, 6 fenced, 7 dead-letter limit, 8 stuck, 1 a bug.
    """
    from worker.supervisor import join_supervisor, supervise
    from worker.telemetry.logs import configure_logging

    child = join_supervisor(os.environ)
    settings = settings_from(config)
    configure_logging(log_format=settings.telemetry.log_format, level=settings.telemetry.log_level, stream=sys.stderr)
    if processes > 1 and child is None:
        command = [sys.executable, "-m", "worker", "run", *(["--config", str(config)] if config else [])]
        telemetry = settings.telemetry
        grace = settings.delivery.grace_seconds + 5
        code = supervise(command, processes=processes, grace_seconds=grace, host=telemetry.host, port=telemetry.port)
        raise typer.Exit(code)
    _work(settings, alone=child is None)


def _work(settings: Settings, *, alone: bool) -> None:
    """One worker in this process; ``alone``: it serves its own metrics and health."""
    import time
    from contextlib import ExitStack

    from worker import __version__, bootstrap
    from worker.clock import SystemClock
    from worker.telemetry.health import ProcessHealth
    from worker.telemetry.http import TelemetryServer
    from worker.telemetry.instruments import process_registry
    from worker.telemetry.logging_observer import LoggingObserver
    from worker.telemetry.metrics import Build, MetricsObserver
    from worker.telemetry.observers import Observers

    clock = SystemClock()
    health = ProcessHealth(clock)
    stop = _StopOnSignals(health, settings.delivery.grace_seconds)
    registry = process_registry()
    with ExitStack() as stack:
        if alone:
            stack.enter_context(
                TelemetryServer(registry, health, host=settings.telemetry.host, port=settings.telemetry.port)
            )
        prepared = bootstrap.prepare(settings)
        model = prepared.served_by
        build = Build(__version__, model.name, model.version, settings.delivery.mode)
        metrics = MetricsObserver(registry, build, unix_time=time.time)
        worker = bootstrap.connect(settings, prepared, Observers([health, metrics, LoggingObserver(clock)]))
        stop.worker = worker
        worker.run()


class _StopOnSignals:
    """The first signal lets the batch in hand finish, within the grace period; a second one ends the process at once.

    As long as there is no ``worker`` yet nothing is in hand, and the first signal simply ends the start.
    """

    def __init__(self, health: ProcessHealth, grace_seconds: float) -> None:
        self.worker: PredictionWorker | None = None
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
        if self.worker is None:
            raise SystemExit(ExitCode.OK)
        self.worker.stop()
