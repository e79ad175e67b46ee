"""The worker as ``prediction-worker run`` builds it, and the same worker with the bytes copied in place of predicted."""

from __future__ import annotations

import dataclasses
import gc
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack

from bench.contenders.meter import Meter, MeterObserver
from bench.contenders.run import Run
from worker import __version__, bootstrap
from worker.clock import SystemClock
from worker.pipeline.process import Outcome, Pipeline
from worker.records import OutgoingBatch, RecordBatch, Refusals, TopicPartition
from worker.telemetry.health import ProcessHealth
from worker.telemetry.http import TelemetryServer
from worker.telemetry.instruments import process_registry
from worker.telemetry.logging_observer import LoggingObserver
from worker.telemetry.logs import configure_logging
from worker.telemetry.metrics import Build, MetricsObserver
from worker.telemetry.observers import Observers


def worker(run: Run, meter: Meter) -> None:
    """Metrics, health and logs included."""
    _answer(run, meter, copy=False)


def own_edge(run: Run, meter: Meter) -> None:
    """The same loop, edges, client settings and batch sizes: what no pipeline on them can beat."""
    _answer(run, meter, copy=True)


class CopyingPipeline(Pipeline):
    """Copies key, value and headers."""

    def process(self, batch: RecordBatch, watermarks: Mapping[TopicPartition, int] | None = None) -> Outcome:
        del watermarks
        copied = OutgoingBatch(self.predictions_topic, batch.partition, batch.keys, batch.values, batch.headers)
        return Outcome(
            (copied,),
            len(batch),
            Refusals.none(),
            0,
            dict.fromkeys(("decode", "validate", "predict", "encode", "count"), 0.0),
        )


def _answer(run: Run, meter: Meter, *, copy: bool) -> None:
    settings, clock = run.settings(), SystemClock()
    configure_logging(log_format="json", level="info", stream=sys.stderr)
    health, registry = ProcessHealth(clock), process_registry()
    with ExitStack() as stack:
        stack.enter_context(TelemetryServer(registry, health, host=settings.telemetry.host, port=0))
        prepared = bootstrap.prepare(settings)
        if copy:
            prepared = dataclasses.replace(prepared, pipeline=_copying(prepared.pipeline))
        build = Build(__version__, prepared.served_by.name, prepared.served_by.version, settings.delivery.mode)
        metrics = MetricsObserver(registry, build, unix_time=time.time)
        observers = Observers([health, metrics, LoggingObserver(clock), MeterObserver(meter)])
        loop = bootstrap.connect(settings, prepared, observers)
        gc.freeze()  # as ``run`` does
        observers.started()
        while not meter.done:
            loop.run_once()
        loop.sink.close()
        loop.source.close()


def _copying(pipeline: Pipeline) -> CopyingPipeline:
    return CopyingPipeline(**{field.name: getattr(pipeline, field.name) for field in dataclasses.fields(pipeline)})
