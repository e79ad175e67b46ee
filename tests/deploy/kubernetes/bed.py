"""What the parts of the test bed share: where it keeps things, how it runs programs, and how it says what is missing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from worker.broker import launch

CACHE = Path(os.environ.get("PREDICTION_WORKER_BED", Path.home() / ".cache/prediction-worker/bed"))
DEBIAN = {
    "containerd": "containerd",
    "runc": "runc",
    "dockerd": "docker.io",
    "docker": "docker.io",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "ip": "iproute2",
    "mount": "mount",
}
CNI = Path("/usr/lib/cni")


class BedError(Exception):
    """One line: what is missing or went wrong, and what to do."""


def check_machine() -> None:
    """Raises BedError with everything that this machine lacks."""
    missing = {package for program, package in DEBIAN.items() if shutil.which(program) is None}
    if not (CNI / "bridge").exists():
        missing.add("containernetworking-plugins")
    problems = [f"apt-get install {' '.join(sorted(missing))}"] if missing else []
    if shutil.which("go") is None:
        problems.append("install Go 1.24 or newer")
    if os.geteuid() != 0:
        problems.append("run it as root")
    if problems:
        raise BedError("a Kubernetes node needs more than is here: " + "; ".join(problems))


def output(
    *command: str | Path,
    stdin: str | bytes = b"",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = 120.0,
) -> str:
    """What a program says. Raises BedError with its last words when it fails."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [str(word) for word in command],
        input=given,
        capture_output=True,
        cwd=folder,
        env=os.environ | dict(environment or {}),
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        words = "\n".join(done.stderr.decode(errors="replace").splitlines()[-15:])
        raise BedError(f"{' '.join(map(str, command))[:200]} failed ({done.returncode}): {words}")
    return done.stdout.decode(errors="replace")


def wait_for(what: str, condition: Callable[[], bool], seconds: float, pause: float = 0.2) -> None:
    """Return as soon as it holds. Raises BedError when it does not within so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BedError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


class Daemon:
    """A program that runs until it is ended, or until the thread that started it ends; it writes to ``<name>.log``."""

    def __init__(
        self, name: str, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = folder / f"{name}.log"
        words = [str(word) for word in command]
        words[0] = shutil.which(words[0]) or words[0]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | dict(environment or {}),
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def end(self, grace_seconds: float = 10.0) -> None:
        """SIGTERM, then SIGKILL; returns when it is gone."""
        if self.running and grace_seconds:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                pass
            else:
                return
        self._process.kill()
        self._process.wait(10)

    def last_words(self) -> str:
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-15:])
