"""``prediction-worker join``: join labels to predictions, until a signal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from worker.cli.options import ConfigOption, settings_from
from worker.cli.stopping import StopOnSignals

if TYPE_CHECKING:
    from worker.settings import Settings


def join(config: ConfigOption = None) -> None:
    """Join the labels to their predictions, and count what came true; until SIGTERM or Ctrl-C.

    The settings are the workers' own, with labels.horizon_seconds. Several joiners share the partitions. The monitor
    publishes what they count, once a window's labels have had their time.

    For example:

        prediction-worker join --config worker.toml

        prediction-worker join & prediction-worker monitor

    Exit codes: 0 stopped, 3 configuration, 4 model, 5 broker, 6 fenced, 8 stuck, 1 a bug.
    """
    from worker.supervisor import join_supervisor
    from worker.telemetry.logs import configure_logging

    child = join_supervisor(os.environ)
    settings = settings_from(config)
    configure_logging(log_format=settings.telemetry.log_format, level=settings.telemetry.log_level, stream=sys.stderr)
    _join(settings, alone=child is None)


def _join(settings: Settings, *, alone: bool) -> None:
    """``alone``: it serves its own metrics and health."""
    import time
    from contextlib import ExitStack

    from worker import bootstrap_quality
    from worker.clock import SystemClock
    from worker.telemetry.health import ProcessHealth
    from worker.telemetry.http import TelemetryServer
    from worker.telemetry.instruments import process_registry
    from worker.telemetry.joining import JoinerTelemetry

    health = ProcessHealth(SystemClock())
    stop = StopOnSignals(health, settings.delivery.grace_seconds)
    registry = process_registry()
    with ExitStack() as stack:
        if alone:
            telemetry = settings.telemetry
            stack.enter_context(TelemetryServer(registry, health, host=telemetry.host, port=telemetry.port))
        prepared = bootstrap_quality.prepare_joiner(settings)
        loop = bootstrap_quality.connect_joiner(
            settings, prepared, JoinerTelemetry(registry, health, unix_time=time.time)
        )
        stop.loop = loop
        loop.run()
