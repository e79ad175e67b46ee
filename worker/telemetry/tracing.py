"""The observer that traces: a span a micro-batch, with a span a stage below it, linked to the traces of its records.

Off unless the extra ``otel`` is installed and the environment says where spans go, by OpenTelemetry's own variables
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). Names and attributes:
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/, where a batch is a span with links, since its
records have traces of their own. These go on: a prediction carries its input's context (``pipeline.tracing``).

A span is made when its batch is delivered, from durations that were measured anyway: the loop knows nothing of traces.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from worker.errors import ConfigurationError
from worker.ports import BatchReport
from worker.records import HeaderColumns, TopicPartition

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link

MOST_LINKS = 128
"""Of one span, as OTEL_SPAN_LINK_COUNT_LIMIT has it by default; further records of the batch have none."""
_PARENT, _STATE = "traceparent", "tracestate"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTER, _DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
_log = logging.getLogger(__name__)


def is_configured(environment: Mapping[str, str]) -> bool:
    """Whether the environment says where spans go."""
    if environment.get(_DISABLED, "").lower() == "true" or environment.get(_EXPORTER, "") == "none":
        return False
    return bool(environment.get(_EXPORTER)) or any(environment.get(name) for name in _ENDPOINTS)


def tracing_of(environment: Mapping[str, str], group: str, topic: str) -> TracingObserver | None:
    """By the environment; None: it asks for none, or the extra is not installed, which is said once.

    Raises ConfigurationError for an exporter that there is not.
    """
    if not is_configured(environment):
        return None
    kind = environment.get(_EXPORTER, "otlp")
    if kind not in ("otlp", "console"):
        raise ConfigurationError(f"{_EXPORTER}={kind} is not supported", hint="otlp (over HTTP), console or none")
    try:
        provider = provider_of(_exporter(kind), group)
    except ImportError:
        _log.warning("no traces: the environment asks for them, and the extra is missing (prediction-worker[otel])")
        return None
    return TracingObserver(provider, group, topic)


def provider_of(exporter: SpanExporter, group: str) -> TracerProvider:
    """Sends in batches, from a thread of its own; when its queue is full spans are dropped, and the loop never waits."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=_resource(group), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class TracingObserver:
    """Makes spans of what it is told. ``unix_ns``: nanoseconds since 1970."""

    def __init__(
        self, provider: TracerProvider, group: str, topic: str, unix_ns: Callable[[], int] = time.time_ns
    ) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        self._trace = trace
        self._provider = provider
        self._tracer = provider.get_tracer("prediction-worker")
        self._unix_ns = unix_ns
        self._name = f"process {topic}"
        self._attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": group,
        }

    def delivered(self, report: BatchReport) -> None:
        end = self._unix_ns()
        stages = _stages(report)
        begin = end - round(sum(stages.values()) * 1e9)
        counts = {
            "messaging.batch.message_count": report.records,
            "prediction_worker.predictions": report.predictions,
            "prediction_worker.dead_letters": len(report.refusals),
        }
        span = self._tracer.start_span(
            self._name,
            context=self._trace.set_span_in_context(self._trace.INVALID_SPAN),
            kind=self._trace.SpanKind.CONSUMER,
            attributes={**self._attributes, **counts},
            links=list(islice(self._links(report.headers), MOST_LINKS)),
            start_time=begin,
        )
        if span.is_recording():
            below, at = self._trace.set_span_in_context(span), begin
            for name, seconds in stages.items():
                stage = self._tracer.start_span(name, context=below, start_time=at)
                at += round(seconds * 1e9)
                stage.end(at)
        span.end(end)

    def aborted(self, error: Exception) -> None:
        now = self._unix_ns()
        span = self._tracer.start_span(
            self._name, kind=self._trace.SpanKind.CONSUMER, attributes=self._attributes, start_time=now
        )
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, str(error)))
        span.end(now)

    def started(self) -> None: ...

    def progressed(self) -> None: ...

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None: ...

    def assignment(self, partitions: int) -> None: ...

    def stopped(self) -> None:
        """Send what is waiting, for as long as the exporter's time-out."""
        self._provider.shutdown()

    def _links(self, headers: HeaderColumns) -> Iterator[Link]:
        """Of the records that bring a sound trace context, in their order."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        read = TraceContextTextMapPropagator().extract
        for row in headers:
            texts = {
                name: value.decode("latin-1") for name, value in headers[row] if value and name in (_PARENT, _STATE)
            }
            context = self._trace.get_current_span(read(texts)).get_span_context()
            if context.is_valid:
                yield self._trace.Link(context)


def _stages(report: BatchReport) -> dict[str, float]:
    """In the order of the flow, in seconds."""
    return {
        "decode": report.decode_seconds,
        "validate": report.validate_seconds,
        "predict": report.predict_seconds,
        "encode": report.encode_seconds,
        "count": report.count_seconds,
        "deliver": report.deliver_seconds,
    }


def _exporter(kind: str) -> SpanExporter:
    """Address, headers and time-outs are the exporter's own to read."""
    if kind == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415 - an extra

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra

    return OTLPSpanExporter()


def _resource(group: str) -> Resource:
    """The service is the group, unless the environment (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) names another."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - an extra

    found = Resource.create()
    unnamed = str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found.merge(Resource({SERVICE_NAME: group})) if unnamed else found
