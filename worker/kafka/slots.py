"""Transactional ids by slot: group + host name + the lowest free slot on this host.

A restarted process takes the slot, and so the id, of the one that died, and ends its open transaction at once. With a
random id readers would be blocked for the whole transaction timeout after every crash.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import tempfile
from pathlib import Path
from typing import Self

from worker.errors import ConfigurationError

MAX_SLOTS = 1_000


class Slot:
    """A slot held by a file lock, which the kernel frees when the process dies, however it dies."""

    def __init__(self, number: int, descriptor: int) -> None:
        self.number = number
        self._descriptor = descriptor

    @classmethod
    def take(cls, group: str, folder: Path | None = None) -> Self:
        """The lowest free slot of the group on this host. Raises ConfigurationError when no lock can be had."""
        place = folder or Path(tempfile.gettempdir()) / f"prediction-worker-{os.getuid()}"
        name = hashlib.sha256(group.encode()).hexdigest()[:16]
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            for number in range(MAX_SLOTS):
                descriptor = os.open(place / f"{name}-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                else:
                    return cls(number, descriptor)
        except OSError as error:
            raise ConfigurationError(
                f"no lock can be taken in {place}: {error.strerror}", hint="set TMPDIR to a folder that can be written"
            ) from None
        raise ConfigurationError(f"all {MAX_SLOTS} slots of group {group} are taken on this host")

    def transactional_id(self, group: str) -> str:
        return f"{group}-{socket.gethostname()}-{self.number}"

    def release(self) -> None:
        os.close(self._descriptor)
