"""The port for metrics and health: free, or held by a worker that answers there."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Iterator

from worker.doctor.findings import Finding, error, ok

CHECK = "port"
TIMEOUT_SECONDS = 2.0


def judge_port(host: str, port: int) -> Iterator[Finding]:
    """Binds it for a moment."""
    place = f"{host}:{port}"
    if port == 0:
        yield ok(CHECK, "telemetry.port is 0: a free one is taken")
        return
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE and _is_worker(host, port):
            yield ok(CHECK, f"a worker answers at {place}")
        elif problem.errno == errno.EADDRINUSE:
            yield error(CHECK, f"{place} is taken by another program", "set telemetry.port (0 picks a free one)")
        else:
            yield error(
                CHECK, f"{place} can't be listened on: {problem.strerror}", "set telemetry.host and telemetry.port"
            )
    else:
        yield ok(CHECK, f"{place} is free for metrics and health")


def _is_worker(host: str, port: int) -> bool:
    """Whether the metrics there are ours."""
    asked = http.client.HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, TIMEOUT_SECONDS)  # noqa: S104 - asked, not listened on
    try:
        asked.request("GET", "/metrics")
        return b"worker_" in asked.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
