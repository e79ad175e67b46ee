"""Directories held by one owner at a time, and temporary ones that do not pile up, even where processes are killed.

Each is held by a file lock, which the kernel lets go when the last process that has it open ends, however it ends.
Whoever makes the next temporary one removes those that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

PREFIX = "prediction-worker-broker-"
LOCK = "owner.lock"


def hold(directory: Path) -> IO[bytes]:
    """Hold it until the file is closed, here and in every child it was handed to; BlockingIOError: somebody else does."""
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context((directory / LOCK).open("ab"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stack.pop_all()
        return lock


class ScratchDirectory:
    """Made at construction; ``remove()`` or the end of this process lets go of it."""

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        remove_abandoned(parent)
        self.path, self.lock = _make(parent)

    def remove(self) -> None:
        """Safe to call twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.close()


def remove_abandoned(parent: Path) -> None:
    """Remove what owners that have ended left in ``parent``; other users' directories are not touched."""
    for path in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):  # no lock file yet, held, or removed meanwhile: not ours to remove
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            if not (path / LOCK).exists():
                continue
            with hold(path):
                shutil.rmtree(path, ignore_errors=True)


def _make(parent: Path) -> tuple[Path, IO[bytes]]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = hold(path)
        except (BlockingIOError, FileNotFoundError):
            continue  # somebody cleaning up took it for abandoned in the instant before we held it
        if (path / LOCK).exists():
            return path, lock
        lock.close()
