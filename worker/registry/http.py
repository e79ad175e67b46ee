"""One question to a schema registry over HTTP, and its answer, bounded in time and size.

The client of the standard library: what this worker needs is a question now and then, and that none of them lasts.
``docs/adr/0013-a-registry-client-of-our-own.md`` says what else was looked at.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from worker.avro.bounds import MAX_TEXT_BYTES
from worker.errors import ConfigurationError, SchemaUnavailable
from worker.settings import Registry

# A schema of the largest size, in JSON in JSON.
MAX_ANSWER_BYTES = 2 * MAX_TEXT_BYTES + 65_536
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """``body``: the JSON object, or what else there was in its place, as ``{}``."""

    status: int
    body: Mapping[str, Any]

    @property
    def error_code(self) -> int:
        """The registry's own, such as 40403; 0 where it gives none."""
        code = self.body.get("error_code")
        return code if isinstance(code, int) else 0


class RegistryHttp:
    """Asks one registry. Every question has its own connection, and is over after ``timeout_seconds`` (at TLS: a step)."""

    def __init__(self, settings: Registry) -> None:
        """Raises ConfigurationError for certificates and secrets that can't be read."""
        parts = urlsplit(settings.url)
        self.url = settings.url
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path
        self._timeout_seconds = settings.timeout_seconds
        self._context = _context(settings) if parts.scheme == "https" else None
        self._headers = {"Accept": f"{_MEDIA_TYPE}, application/json", "Content-Type": _MEDIA_TYPE}
        if authorization := settings.authorization():
            self._headers["Authorization"] = authorization

    def get(self, path: str) -> Answer:
        """Raises SchemaUnavailable where there is no answer, in time and of a sound size."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """As ``get``."""
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        connection = self._connection()
        end = _End(self._timeout_seconds)
        try:
            connection.connect()
            end.cuts(connection.sock)
            connection.request(method, self._path + path, body, self._headers)
            response = connection.getresponse()
            content = response.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not (end.passed or isinstance(error, TimeoutError)):
                raise self._unavailable(_reason(error)) from None
            content = None
        finally:
            end.forget()
            connection.close()
        if end.passed or content is None:
            raise self._unavailable("no answer in time")
        if len(content) > MAX_ANSWER_BYTES:
            raise self._unavailable(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        return Answer(response.status, _object(content))

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=self._context)

    def _unavailable(self, why: str) -> SchemaUnavailable:
        return SchemaUnavailable(f"the schema registry at {self.url}: {why}")


class _End:
    """Cuts a connection after so many seconds, whatever is being done on it.

    A time-out of the socket alone starts anew with every byte that comes.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._connection: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def cuts(self, connection: socket.socket) -> None:
        """The one that there is now; it is cut at once where the end has come."""
        self._connection = connection
        if self.passed:
            self._cut()

    def forget(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        if self._connection is not None:
            with suppress(OSError):
                # Of TLS, too, the bytes below it: the object above belongs to the thread that reads.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


def _context(settings: Registry) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.certificate is not None:
            # A key with a password would be asked for on the terminal.
            context.load_cert_chain(settings.certificate, settings.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the registry's certificates can't be used: {_reason(error)}",
            hint="registry.ca, registry.certificate and registry.key name PEM files; the key has no password",
        ) from None
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__  # the text of others may hold what the other side sent


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
