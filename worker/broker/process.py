"""A child process that never outlives the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")


class OwnedProcess:
    """Runs from construction on; its output goes to ``log``, appended, and it holds ``lock`` open as long as it lives.

    The kernel ends the child when the thread that started it ends (``launch``). So that thread does nothing else than
    to wait for the child, and lives exactly as long: it does not matter which thread of ours made this object. The
    child has a session of its own, so that Ctrl-C in a terminal reaches the owner alone, which then stops it in order.
    """

    def __init__(self, command: Sequence[str], *, directory: Path, log: Path, lock: int) -> None:
        self._command = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command]
        self._directory = directory
        self._log = log
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        # Not the thread's own join() and is_alive(): a signal handler that raises during join() makes them lie.
        self._ended = threading.Event()
        threading.Thread(target=self._start_and_wait, name=f"owner of {command[0]}", daemon=True).start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def _start_and_wait(self) -> None:
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours, there is no shell
                    self._command,
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(self._lock,),
                )
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self._process.wait()
        self._ended.set()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return None if self.running else self._popen.returncode

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Whether it has ended, after at most so long."""
        return self._ended.wait(timeout_seconds)

    def send(self, signal_number: signal.Signals) -> None:
        """Does nothing once it has ended."""
        self._popen.send_signal(signal_number)

    def end(self, *, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL once the grace is over; a grace of zero kills at once. Returns when it has ended."""
        if grace_seconds > 0:
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)  # it may be stopped, and then could not obey
            self.wait(grace_seconds)
        if self.running:
            self.send(signal.SIGKILL)
            self.wait()

    @property
    def _popen(self) -> subprocess.Popen[bytes]:
        assert self._process is not None  # the constructor raises otherwise
        return self._process
