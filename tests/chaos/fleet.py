"""Workers as processes: started, killed, paused, stopped; whatever is left of them is ended, also when a test fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.broker import launch

PLAIN = ("worker", "run")
READY = "ready: model verified"


class ChildProcess:
    """A Python module as a process, with its output in ``log``. Ends with the thread that started it, even if killed."""

    def __init__(self, log: Path, module: tuple[str, ...], arguments: tuple[str, ...]) -> None:
        self.name = log.stem
        self.log = log
        owned = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid())]
        # Slots are locks in the temporary directory; every fleet has its own.
        environment = os.environ | {
            "TMPDIR": str(log.parent),
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore::RuntimeWarning",  # numpy's, of the rows that the model is to raise on
            "WORKER_KAFKA__OPTIONS": json.dumps({"client.id": self.name}),  # tells members of the group apart
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*owned, sys.executable, "-m", *module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    @property
    def ready(self) -> bool:
        return READY in self.text()

    def send(self, number: signal.Signals) -> None:
        """Does nothing once it has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, also of one that is stopped; returns when the process is gone."""
        self._process.kill()
        self._process.wait(10)

    def await_exit(self, timeout_seconds: float) -> int:
        """Its exit status. Fails, with its last words, when it goes on for longer."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} has not ended within {timeout_seconds:g} s\n{self.last_words()}"
            ) from None

    def text(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def last_words(self) -> str:
        return "\n".join(self.text().splitlines()[-15:])


class Fleet:
    """Workers of one configuration; a context manager that ends those that it started, and no others."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.workers: list[ChildProcess] = []

    @property
    def running(self) -> list[ChildProcess]:
        return [worker for worker in self.workers if worker.running]

    def start(self, *arguments: str, module: tuple[str, ...] = PLAIN) -> ChildProcess:
        log = self.config.with_name(f"worker-{len(self.workers)}.log")
        worker = ChildProcess(log, module, ("--config", str(self.config), *arguments))
        self.workers.append(worker)
        return worker

    def stop(self, grace_seconds: float) -> list[int]:
        """SIGTERM to all that run, at the same time; their exit statuses."""
        stopping = self.running
        for worker in stopping:
            worker.send(signal.SIGTERM)
        return [worker.await_exit(grace_seconds) for worker in stopping]

    def count(self, line: str) -> int:
        """How often the workers have said so, all together."""
        return sum(worker.text().count(line) for worker in self.workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.running:
            worker.kill()
