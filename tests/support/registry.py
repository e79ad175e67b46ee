"""A schema registry on a real socket, which answers as Confluent's does, or goes wrong as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from worker.registry.http import MAX_ANSWER_BYTES

Fault = Literal["silent", "dripping", "dripping headers", "oversized", "garbage", "hangs up", "nowhere"]


@dataclass
class RegistryServer:
    """``schemas`` by id; what a test changes takes effect with the next question. ``asked`` counts the paths.

    ``fault``: how it goes wrong, or the HTTP status that it answers with. ``authorization``: what it wants to be sent.
    """

    url: str = ""
    schemas: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, dict[str, Any]] = field(default_factory=dict)
    subjects: dict[str, dict[str, int]] = field(default_factory=dict)
    guids: dict[str, int] = field(default_factory=dict)
    fault: Fault | int | None = None
    authorization: str | None = None
    asked: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def register(self, text: str) -> int:
        """The id of a schema, a new one or the one that it has."""
        known = {schema: number for number, schema in self.schemas.items()}
        number = known.get(text, len(self.schemas) + 1)
        self.schemas[number] = text
        return number

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and body."""
        found: tuple[int, Any] = 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
        match [method, *path.strip("/").split("/")]:
            case ["GET", "schemas", "types"]:
                found = 200, ["AVRO"]
            case ["GET", "schemas", "ids", number] if int(number) in self.schemas:
                found = 200, {"schema": self.schemas[int(number)], **self.kinds.get(int(number), {})}
            case ["GET", "schemas", "guids", guid] if guid in self.guids:
                found = 200, {"schema": self.schemas[self.guids[guid]]}
            case ["GET", "schemas", "ids" | "guids", _]:
                found = 404, {"error_code": 40403, "message": "Schema not found"}
            case ["POST", "subjects", subject, "versions"]:
                known = self.subjects.setdefault(subject, {})
                known[body["schema"]] = self.register(body["schema"])
                found = 200, {"id": known[body["schema"]]}
            case ["POST", "subjects", subject] if body["schema"] in self.subjects.get(subject, {}):
                found = 200, {"id": self.subjects[subject][body["schema"]], "version": 1}
            case ["POST", "subjects", subject]:
                found = 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        return found


@contextmanager
def registry_server(context: ssl.SSLContext | None = None) -> Iterator[RegistryServer]:
    """On a port of its own; over TLS with a context."""
    registry = RegistryServer()
    server = _Server(registry)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    registry.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def server_context(certificate: str, key: str, trusted: str | None = None) -> ssl.SSLContext:
    """For a server; ``trusted``: it wants to see a client's certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if trusted is not None:
        context.load_verify_locations(trusted)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: RegistryServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Nobody reads it."""

    def _answer(self, body: dict[str, Any]) -> None:
        registry = self.server.registry
        registry.asked[self.path] += 1
        status, answer = registry.answer(self.command, self.path, body)
        if registry.authorization not in (None, self.headers["Authorization"]):
            status, answer = 401, {"error_code": 401, "message": "Unauthorized"}
        if isinstance(registry.fault, str):
            self._go_wrong(registry.fault)
            return
        if registry.fault is not None:
            status, answer = registry.fault, {"error_code": registry.fault, "message": "as it was told"}
        self._send(status, json.dumps(answer).encode())

    def _go_wrong(self, fault: Fault) -> None:
        if fault == "garbage":
            self._send(200, b"<html>a proxy's page</html>")
        elif fault == "nowhere":
            self._send(404, b"<html>not here</html>")
        elif fault == "oversized":
            self._send(200, b" " * (MAX_ANSWER_BYTES + 1))
        elif fault == "silent":
            self.server.registry.over.wait()
        elif fault == "dripping":
            self._send(200, b"", length=1_000_000)
            self._drip(b" ")
        elif fault == "dripping headers":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
            self._drip(b"x")

    def _drip(self, byte: bytes) -> None:
        """A byte now and then, much sooner than any time-out of the socket, for as long as the client takes it."""
        while not self.server.registry.over.wait(0.02):
            self.wfile.write(byte)

    def _send(self, status: int, content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
