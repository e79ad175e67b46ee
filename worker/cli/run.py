"""``prediction-worker run``: predict, until a signal."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import ConfigOption, settings_from
from worker.cli.stopping import StopOnSignals

if TYPE_CHECKING:
    from worker.ports import Observer
    from worker.settings import Settings


def run(
    config: ConfigOption = None,
    processes: Annotated[
        int, typer.Option(help="So many workers on this machine, restarted when they crash.", min=1, max=256)
    ] = 1,
) -> None:
    """Predict the input topic until SIGTERM or Ctrl-C; what is in hand is finished first.

    With drift.monitor a drift monitor runs beside, with labels.joiner a joiner; each in a process of its own.

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
    roles = ["run"] * processes + ["monitor"] * settings.drift.monitor + ["join"] * settings.labels.joiner
    if len(roles) > 1 and child is None:
        options = ["--config", str(config)] if config else []
        commands = [[sys.executable, "-m", "worker", role, *options] for role in roles]
        telemetry = settings.telemetry
        grace = settings.delivery.grace_seconds + 5
        raise typer.Exit(supervise(commands, grace_seconds=grace, host=telemetry.host, port=telemetry.port))
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
    from worker.telemetry.tracing import tracing_of

    clock = SystemClock()
    health = ProcessHealth(clock)
    stop = StopOnSignals(health, settings.delivery.grace_seconds)
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
        tracing = tracing_of(os.environ, settings.kafka.group, settings.topics.input)
        observers: list[Observer] = [health, metrics, LoggingObserver(clock), *([tracing] if tracing else [])]
        worker = bootstrap.connect(settings, prepared, Observers(observers))
        stop.loop = worker
        gc.freeze()  # what is loaded stays: looked through for garbage, it would stop the loop for 40 ms
        worker.run()
