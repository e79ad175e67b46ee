"""Spans of what the observer is told, as OpenTelemetry's own exporters get them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import worker.testing
from tests.component.worker_rig import LOAN, loan
from tests.unit.telemetry.test_metrics import REPORT
from worker.errors import ConfigurationError, DeliveryAborted
from worker.records import HeaderColumns, Record
from worker.telemetry.observers import Observers
from worker.telemetry.tracing import MOST_LINKS, TracingObserver, provider_of, tracing_of

NOW_NS = 1_700_000_000_000_000_000
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


class Traced:
    """An observer whose spans are kept."""

    def __init__(self) -> None:
        self.kept = InMemorySpanExporter()
        self.provider = provider_of(self.kept, "loans-worker")
        self.observer = TracingObserver(self.provider, "loans-worker", "loans", lambda: NOW_NS)

    def spans(self) -> list[ReadableSpan]:
        """In the order in which they ended."""
        self.provider.force_flush()
        return list(self.kept.get_finished_spans())


@pytest.fixture
def traced() -> Iterator[Traced]:
    found = Traced()
    yield found
    found.observer.stopped()


def test_a_batch_is_a_span(traced: Traced) -> None:
    """A delivered batch is one span with its counts, and one a stage within, end to end."""
    traced.observer.delivered(REPORT)
    *stages, batch = traced.spans()
    assert (batch.name, batch.kind) == ("process loans", SpanKind.CONSUMER)
    attributes = dict(batch.attributes or {})
    assert attributes["messaging.batch.message_count"] == 10
    assert attributes["messaging.consumer.group.name"] == "loans-worker"
    assert attributes["prediction_worker.dead_letters"] == 2
    assert batch.resource.attributes["service.name"] == "loans-worker"
    assert batch.end_time == NOW_NS
    assert batch.start_time == NOW_NS - 19_500_000
    assert [stage.name for stage in stages] == ["decode", "validate", "predict", "encode", "count", "deliver"]
    assert {stage.parent.span_id for stage in stages if stage.parent} == {batch.context.span_id}
    assert [one.end_time for one in stages[:-1]] == [one.start_time for one in stages[1:]]
    assert (stages[0].start_time, stages[-1].end_time) == (batch.start_time, batch.end_time)


def test_links_to_the_records(traced: Traced) -> None:
    """A span is linked to each record that brings a sound trace context, and to no other."""
    own = {0: (("traceparent", PARENT), ("tracestate", b"a=b")), 1: (("traceparent", b"00-junk"),), 3: (("x", b"y"),)}
    traced.observer.delivered(replace(REPORT, headers=HeaderColumns.of(own)))
    (link,) = traced.spans()[-1].links
    assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (TRACE, SPAN)
    assert link.context.trace_state.get("a") == "b"
    assert traced.spans()[-1].parent is None


def test_links_are_bounded(traced: Traced) -> None:
    """However many records a batch has, a span has no more than so many links."""
    many = {row: (("traceparent", f"00-{row + 1:032x}-{row + 1:016x}-01".encode()),) for row in range(1_000)}
    traced.observer.delivered(replace(REPORT, headers=HeaderColumns.of(many)))
    assert [link.context.trace_id for link in traced.spans()[-1].links] == list(range(1, MOST_LINKS + 1))


def test_an_abort_is_a_span_with_an_error(traced: Traced) -> None:
    """A batch that was aborted is a span of its own that has failed."""
    traced.observer.aborted(DeliveryAborted("the group has moved on"))
    (span,) = traced.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "the group has moved on"


def test_the_whole_worker(traced: Traced) -> None:
    """A record's context is linked by the span of its batch, and carried on by its prediction."""
    harness = worker.testing.harness(schema=LOAN.text, predictor=worker.testing.StubPredictor())
    harness.worker.observer = Observers([harness.observer, traced.observer])
    harness.run([Record("events", 0, 0, 0, None, loan(), (("traceparent", PARENT),))])
    assert [f"{link.context.trace_id:032x}" for link in traced.spans()[-1].links] == [TRACE]
    (prediction,) = harness.kafka.records("events.predictions")
    assert prediction.headers == (("traceparent", PARENT),)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    ],
)
def test_off_unless_configured(environment: dict[str, str]) -> None:
    """Without an address, or switched off, nothing is traced."""
    assert tracing_of(environment, "loans-worker", "loans") is None


def test_an_exporter_that_there_is_not() -> None:
    """An exporter that is not supported is named, with those that are."""
    with pytest.raises(ConfigurationError, match="OTEL_TRACES_EXPORTER=zipkin is not supported"):
        tracing_of({"OTEL_TRACES_EXPORTER": "zipkin"}, "loans-worker", "loans")


class _Collector(http.server.BaseHTTPRequestHandler):
    """Takes what is sent to /v1/traces."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers["Content-Type"], body))  # type: ignore[attr-defined]  # set below
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment alone spans are sent over OTLP, and what waits at the end is sent."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        server.received = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            environment = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
                "OTEL_SERVICE_NAME": "scoring",
            }
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            observer = tracing_of(environment, "loans-worker", "loans")
            assert observer is not None
            observer.delivered(REPORT)
            observer.stopped()
        finally:
            server.shutdown()
            thread.join()
        ((path, kind, body),) = server.received  # type: ignore[attr-defined]
    assert (path, kind) == ("/v1/traces", "application/x-protobuf")
    assert b"process loans" in body
    assert b"scoring" in body
