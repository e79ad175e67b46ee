"""TCP ports on the loopback interface."""

from __future__ import annotations

import contextlib
import errno
import socket

from worker.broker.properties import LOOPBACK
from worker.errors import ConfigurationError


def free(count: int) -> tuple[int, ...]:
    """So many different ports that nobody listens on at this moment; nothing keeps them so."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(_bound(0)) for _ in range(count)]
        return tuple(int(each.getsockname()[1]) for each in held)


def require_free(port: int) -> None:
    """Raises ConfigurationError where the port is taken or may not be used."""
    try:
        _bound(port).close()
    except OSError as error:
        why = "is taken by another process" if error.errno == errno.EADDRINUSE else f"can't be used: {error.strerror}"
        raise ConfigurationError(f"port {port} {why}", hint="name another one (--port)") from error


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # As the broker itself does: a connection of the last owner that lingers on does not count.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        raise
    return bound
