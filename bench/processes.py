"""Contenders in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from bench.contenders.run import Run

Figures = dict[str, float]
STOP_SECONDS = 10.0
LOG_CHARACTERS_SHOWN = 2_000


class Contender:
    """A running contender, ended with the block at the latest."""

    def __init__(self, run: Run) -> None:
        self.run = run
        # A pipe that nobody reads would fill up.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        command = [sys.executable, "-m", "bench.contenders", run.to_json()]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self._figures: Figures | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def samples(self) -> Iterator[Figures]:
        """As they come, until the contender ends. Raises SystemExit with its log when it failed."""
        assert self._process.stdout is not None  # it is a pipe
        for line in self._process.stdout:
            told = json.loads(line)
            self._figures = told.get("figures", self._figures)
            if "sample" in told:
                yield told["sample"]
        if self._process.wait() or self._figures is None:
            self.fail("failed")

    def figures(self) -> Figures:
        """At its end."""
        for _ in self.samples():
            pass
        assert self._figures is not None  # else ``samples`` has raised
        if self._figures["refused"] > self.run.most_refused * self._figures["records"]:
            self.fail(f"refused {self._figures['refused']:,.0f} of {self._figures['records']:,.0f} records")
        return self._figures

    def fail(self, what: str) -> None:
        """Raises SystemExit with the end of the contender's log."""
        self._log.seek(0)
        sys.exit(f"{self.run.contender} ({self.run.mode}) {what}:\n{self._log.read()[-LOG_CHARACTERS_SHOWN:]}")


def warm_up(run: Run) -> None:
    """Run it for nothing: a new broker is still compiling its code, and the first contender would pay for it."""
    measure(run)


def measure(run: Run) -> Figures:
    with Contender(run) as contender:
        return contender.figures()
