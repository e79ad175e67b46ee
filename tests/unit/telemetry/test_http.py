"""The health and metrics server, on real sockets."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from worker.errors import ConfigurationError
from worker.telemetry.catalogue import CONSUMED, WORKER_METRICS
from worker.telemetry.http import MAX_CONNECTIONS, METRICS_SECONDS, TelemetryServer
from worker.telemetry.instruments import Instruments


@dataclass
class StubProbe:
    problem: str | None = None
    not_ready: str | None = None

    def unhealthy(self) -> str | None:
        return self.problem

    def unready(self) -> str | None:
        return self.not_ready


@pytest.fixture
def probe() -> StubProbe:
    return StubProbe()


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Instruments(registry, WORKER_METRICS).counter(CONSUMED).inc(42)
    return registry


@pytest.fixture
def server(registry: CollectorRegistry, probe: StubProbe) -> Iterator[TelemetryServer]:
    with TelemetryServer(registry, probe, host="127.0.0.1", port=0) as server:
        yield server


def patient_server(registry: CollectorRegistry, probe: StubProbe) -> TelemetryServer:
    """One whose deadline can't be what ended a connection."""
    return TelemetryServer(registry, probe, host="127.0.0.1", port=0, deadline_seconds=600)


def ask(
    server: TelemetryServer, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read().decode()


def connect(server: TelemetryServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    """Whatever comes until the server ends the connection, in order or by a reset."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def test_metrics_in_prometheus_text(server: TelemetryServer) -> None:
    """/metrics speaks the text format when asked for nothing else."""
    response, body = ask(server, "/metrics")
    assert (response.status, response.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert "worker_records_consumed_total 42.0\n" in body
    assert int(response.headers["Content-Length"]) == len(body)


def test_metrics_in_openmetrics(server: TelemetryServer) -> None:
    """/metrics speaks OpenMetrics to those who accept it, and a strict parser reads it."""
    response, body = ask(server, "/metrics?x=1", Accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(body)}  # type: ignore[no-untyped-call]  # the library's
    assert families["worker_records_consumed"].samples[0].value == 42


def test_health(server: TelemetryServer, probe: StubProbe) -> None:
    """/healthz is 200 while the loop advances, else 503 with one line why; readiness does not matter to it."""
    probe.not_ready = "starting"
    assert (ask(server, "/healthz")[0].status, ask(server, "/healthz")[1]) == (200, "ok\n")
    probe.problem = "the loop has not advanced for 99 s"
    assert (ask(server, "/healthz")[0].status, ask(server, "/healthz")[1]) == (
        503,
        "the loop has not advanced for 99 s\n",
    )


def test_readiness(server: TelemetryServer, probe: StubProbe) -> None:
    """/readyz is 200 when ready, else 503 with one line why."""
    assert ask(server, "/readyz")[0].status == 200
    probe.not_ready = "stopping"
    assert (ask(server, "/readyz")[0].status, ask(server, "/readyz")[1]) == (503, "stopping\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/debug", "/../etc/passwd"])
def test_nothing_else_is_there(server: TelemetryServer, path: str) -> None:
    """Any other path is 404."""
    assert ask(server, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_reading(server: TelemetryServer, method: str) -> None:
    """Any method but GET and HEAD is 405 and says what is allowed."""
    response, _ = ask(server, "/metrics", method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_head(server: TelemetryServer) -> None:
    """HEAD has the headers of GET and no body."""
    with connect(server) as connection:
        connection.sendall(b"HEAD /healthz HTTP/1.1\r\n\r\n")
        head, body = read_all(connection).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert b"Content-Length: 3" in head
    assert body == b""


def test_a_stalling_client_blocks_nobody(server: TelemetryServer) -> None:
    """A client that sends one byte and then nothing does not keep another's probe waiting."""
    with connect(server) as stalling:
        stalling.sendall(b"G")
        assert ask(server, "/healthz")[0].status == 200


def test_many_stalling_clients_block_nobody(registry: CollectorRegistry, probe: StubProbe) -> None:
    """However many connections are held open, the oldest makes room for the next, long before its deadline."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(patient_server(registry, probe))
        stalling = [stack.enter_context(connect(server)) for _ in range(3 * MAX_CONNECTIONS)]
        for connection in stalling:
            connection.sendall(b"G")
        assert ask(server, "/healthz")[0].status == 200
        assert b"200 OK" not in read_all(stalling[0])


def test_a_connection_has_a_deadline(registry: CollectorRegistry, probe: StubProbe) -> None:
    """A client that is slow is cut off, though it never stops sending."""
    server = TelemetryServer(registry, probe, host="127.0.0.1", port=0, deadline_seconds=0.05)
    with server, connect(server) as dripping, contextlib.suppress(ConnectionError):
        dripping.settimeout(0.01)
        dripping.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        while not ended(dripping):
            dripping.sendall(b"x")


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000,
        b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"GET /" + b"x" * 100_000,
    ],
    ids=["long header", "many headers", "long path"],
)
def test_a_flood_is_refused(server: TelemetryServer, request_bytes: bytes) -> None:
    """More than a few kilobytes of request are not read, let alone kept."""
    with connect(server) as flooding:
        with contextlib.suppress(ConnectionError):
            flooding.sendall(request_bytes)
        assert b" 200 " not in read_all(flooding)
    assert ask(server, "/healthz")[0].status == 200


def test_a_request_just_over_the_limit_is_told_so(server: TelemetryServer) -> None:
    """The answer to too large a request is 431."""
    start = b"GET /healthz HTTP/1.1\r\nX: "
    with connect(server) as connection:
        connection.sendall(start + b"x" * (8_192 - len(start)))
        assert read_all(connection).startswith(b"HTTP/1.0 431 ")


@pytest.mark.parametrize("garbage", [b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n", b"GET\r\n\r\n", b"A B C D\r\n\r\n"])
def test_garbage_does_no_harm(server: TelemetryServer, garbage: bytes) -> None:
    """What is not HTTP gets no good answer, and the next client its own."""
    with connect(server) as connection:
        connection.sendall(garbage)
        assert b" 200 " not in read_all(connection)
    assert ask(server, "/healthz")[0].status == 200


def test_a_flood_of_scrapes_is_answered_once(probe: StubProbe) -> None:
    """Whoever asks for metrics again and again gets what was written out a moment before."""
    registry = CollectorRegistry()
    written = []

    class Counted(Collector):
        def collect(self) -> Iterable[Metric]:
            written.append(1)
            return []

    with TelemetryServer(registry, probe, host="127.0.0.1", port=0) as server:
        registry.register(Counted())
        written.clear()
        begun = time.monotonic()
        for _ in range(2 * MAX_CONNECTIONS):
            assert ask(server, "/metrics")[0].status == 200
        seconds = time.monotonic() - begun
    assert len(written) <= 2 + seconds / METRICS_SECONDS


def test_a_taken_port_is_named_with_the_way_out(server: TelemetryServer, registry: CollectorRegistry) -> None:
    """The error says which port is taken and which setting to change."""
    with pytest.raises(ConfigurationError) as caught:
        TelemetryServer(registry, StubProbe(), host="127.0.0.1", port=server.port)
    assert caught.value.message == f"port {server.port} on 127.0.0.1 is taken"
    assert caught.value.hint == "set telemetry.port (0 picks a free one)"


def test_an_address_that_is_not_ours(registry: CollectorRegistry) -> None:
    """A host that can't be listened on is a configuration error too."""
    with pytest.raises(ConfigurationError, match=r"can't listen on port 0 of 192\.0\.2\.1"):
        TelemetryServer(registry, StubProbe(), host="192.0.2.1", port=0)


def test_a_fault_of_ours_is_logged(
    registry: CollectorRegistry, server: TelemetryServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A collector that raises gets no answer out, its traceback into the log, and harms no other request."""

    class Broken(Collector):
        def collect(self) -> Iterable[Metric]:
            raise RuntimeError("broken collector")

    registry.register(Broken())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "/metrics")
    assert "broken collector" in caplog.text
    assert ask(server, "/healthz")[0].status == 200


def test_closed_is_closed(registry: CollectorRegistry, probe: StubProbe) -> None:
    """After close nobody listens, an open connection has ended, and the port can be taken again."""
    server = patient_server(registry, probe)
    with connect(server) as waiting:
        waiting.sendall(b"G")
        assert ask(server, "/healthz")[0].status == 200
        server.close()
        assert b" 200 " not in read_all(waiting)
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    TelemetryServer(registry, probe, host="127.0.0.1", port=server.port).close()
