"""``prediction-worker monitor``: merge what the workers counted, and say what has drifted, until a signal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import ConfigOption, settings_from
from worker.cli.stopping import StopOnSignals

if TYPE_CHECKING:
    from worker.settings import Settings


def monitor(
    config: ConfigOption = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Forget the last state; windows and episodes are published again.")
    ] = False,
) -> None:
    """Close the windows of the drift sketches, publish a report of each and alerts; until SIGTERM or Ctrl-C.

    The settings are the workers' own. Of several monitors one is active, the others take over when it ends; whatever is
    killed, each window is reported once, and each episode of drift is alerted once.

    For example:

        prediction-worker monitor --config worker.toml

        prediction-worker monitor --from-start

    Exit codes: 0 stopped, 3 configuration, 4 model, 5 broker, 6 fenced, 8 stuck, 1 a bug.
    """
    from worker.supervisor import join_supervisor
    from worker.telemetry.logs import configure_logging

    child = join_supervisor(os.environ)
    settings = settings_from(config)
    configure_logging(log_format=settings.telemetry.log_format, level=settings.telemetry.log_level, stream=sys.stderr)
    _monitor(settings, alone=child is None, from_start=from_start)


def _monitor(settings: Settings, *, alone: bool, from_start: bool) -> None:
    """``alone``: it serves its own metrics and health."""
    import time
    from contextlib import ExitStack

    from worker import bootstrap
    from worker.clock import SystemClock
    from worker.telemetry.health import ProcessHealth
    from worker.telemetry.http import TelemetryServer
    from worker.telemetry.instruments import process_registry
    from worker.telemetry.monitoring import MonitorTelemetry

    health = ProcessHealth(SystemClock())
    stop = StopOnSignals(health, settings.delivery.grace_seconds)
    registry = process_registry()
    with ExitStack() as stack:
        if alone:
            telemetry = settings.telemetry
            stack.enter_context(TelemetryServer(registry, health, host=telemetry.host, port=telemetry.port))
        memory = bootstrap.prepare_monitor(settings)
        observer = MonitorTelemetry(registry, health, memory.model, unix_time=time.time)
        loop = bootstrap.connect_monitor(settings, memory, observer)
        loop.from_start = from_start
        stop.loop = loop
        loop.run()
