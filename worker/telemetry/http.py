"""``/metrics``, ``/healthz`` and ``/readyz`` on one port, from a daemon thread.

The port may be reachable by anyone on the network, and a probe that gets no answer restarts the worker. Therefore one
connection has a deadline as a whole, a request a small size, and their number a bound: when it is reached the oldest
makes room, so that slow clients can't keep a probe out. Metrics are written out anew a few times a second at most, so that
scrapes in a row don't take the stream's time.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from worker.errors import ConfigurationError
from worker.telemetry.health import Probe

MAX_CONNECTIONS = 32
MAX_REQUEST_BYTES = 8_192
DEADLINE_SECONDS = 5.0
METRICS_SECONDS = 0.1
"""How old the metrics of an answer may be."""
_TEXT = "text/plain; charset=utf-8"

_log = logging.getLogger(__name__)


class TelemetryServer:
    """Listens from construction until ``close``; ``port`` is the real one when 0 was asked for.

    Raises ConfigurationError when host and port can't be listened on.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        probe: Probe,
        *,
        host: str,
        port: int,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        answers: _Answers = {
            "/metrics": _Metrics(registry),
            "/healthz": lambda _: _verdict(probe.unhealthy()),
            "/readyz": lambda _: _verdict(probe.unready()),
        }
        self._server = _listen(host, port, answers, deadline_seconds)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="telemetry", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; open connections are cut. May be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_Answer = tuple[HTTPStatus, str, bytes]
_Answers = Mapping[str, Callable[[str], _Answer]]


class _Metrics:
    """Written out once for all who ask within ``METRICS_SECONDS`` for the same format."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._written: dict[str, tuple[float, bytes]] = {}  # by one of the few content types

    def __call__(self, accept: str) -> _Answer:
        encode, content_type = choose_encoder(accept)
        with self._lock:
            at, body = self._written.get(content_type, (float("-inf"), b""))
            if time.monotonic() - at >= METRICS_SECONDS:
                body = encode(self._registry)
                self._written[content_type] = time.monotonic(), body
        return HTTPStatus.OK, content_type, body


def _verdict(problem: str | None) -> _Answer:
    status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _TEXT, f"{problem or 'ok'}\n".encode()


def _listen(host: str, port: int, answers: _Answers, deadline_seconds: float) -> _Server:
    try:
        return _Server(host, port, answers, deadline_seconds)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            problem = f"port {port} on {host} is taken"
            raise ConfigurationError(problem, hint="set telemetry.port (0 picks a free one)") from None
        problem = f"can't listen on port {port} of {host}: {error.strerror}"
        raise ConfigurationError(problem, hint="set telemetry.host and telemetry.port") from None


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    # Not http.server's own class: that one looks its name up in the DNS before it listens.
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, answers: _Answers, deadline_seconds: float) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.answers = answers
        self.deadline_seconds = deadline_seconds
        self._open: dict[socket.socket, None] = {}  # oldest first
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            while len(self._open) >= MAX_CONNECTIONS:
                self._cut_oldest()
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._lock:
            while self._open:
                self._cut_oldest()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """A fault of ours, in a collector or probe: the client sees no answer, the log says why."""
        _log.exception("a request to the telemetry port failed")

    def _cut_oldest(self) -> None:
        oldest = next(iter(self._open))
        del self._open[oldest]
        with contextlib.suppress(OSError):  # the client may have been faster
            oldest.shutdown(socket.SHUT_RDWR)  # its thread wakes up, finds the end, and closes it


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "prediction-worker"
    sys_version = ""
    command = ""
    request_version = "HTTP/1.0"
    requestline = ""

    def setup(self) -> None:
        self.connection: socket.socket = self.request
        incoming = _BoundedReader(self.connection, time.monotonic() + self.server.deadline_seconds)
        self.rfile = io.BufferedReader(incoming)
        self._response = self.wfile = io.BytesIO()

    def handle(self) -> None:
        """Answer one request; the connection ends with it."""
        with contextlib.suppress(TimeoutError, ConnectionError):  # a client that is slow or gone is not news
            self._read_and_answer()
            self.connection.settimeout(self.server.deadline_seconds)
            self.connection.sendall(self._response.getvalue())

    def finish(self) -> None:
        self.rfile.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Probes come every few seconds and are not news."""

    def _read_and_answer(self) -> None:
        try:
            self.raw_requestline = self.rfile.readline()
            if self.raw_requestline and self.parse_request():
                self._answer()
        except LineTooLong:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _answer(self) -> None:
        answer = self.server.answers.get(self.path.partition("?")[0])
        if self.command not in {"GET", "HEAD"}:
            self._reply((HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET and HEAD\n"), {"Allow": "GET, HEAD"})
        elif answer is None:
            self._reply((HTTPStatus.NOT_FOUND, _TEXT, b"there are /metrics, /healthz and /readyz\n"))
        else:
            self._reply(answer(self.headers.get("Accept", "")))

    def _reply(self, answer: _Answer, headers: Mapping[str, str] | None = None) -> None:
        status, content_type, body = answer
        self.send_response(status)
        fields = {"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in {**fields, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _BoundedReader(io.RawIOBase):
    """The request's bytes, until a deadline and up to a size.

    A time-out for each read alone would let a client go on for ever by sending a byte now and then.
    Raises TimeoutError; LineTooLong, which http.server knows as the client's fault.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = MAX_REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise LineTooLong("request")
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count
