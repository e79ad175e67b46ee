"""A real schema registry: Apicurio, in a JVM of its own on the loopback interface, with its data in memory."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import wait_until
from worker.broker import jars, ports
from worker.broker.process import OwnedProcess
from worker.broker.scratch import ScratchDirectory

VERSION = "3.0.9"
SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
RUNNER = f"apicurio-registry-app-{VERSION}-runner.jar"
STARTUP_SECONDS = 120.0


class Apicurio:
    """Runs from construction to ``stop``; ``url`` is that of its Confluent-compatible interface."""

    def __init__(self, folder: Path) -> None:
        (port,) = ports.free(1)
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        self._scratch = ScratchDirectory()
        options = [
            "-Dquarkus.http.host=127.0.0.1",
            f"-Dquarkus.http.port={port}",
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
        ]
        self._log = self._scratch.path / "apicurio.log"
        self._process = OwnedProcess(
            [str(jars.java()), *options, "-jar", str(folder / RUNNER)],
            directory=folder,
            log=self._log,
            lock=self._scratch.lock.fileno(),
        )

    def await_answer(self) -> None:
        wait_until(self._answers, STARTUP_SECONDS)

    def _answers(self) -> bool:
        assert self._process.running, self._log.read_text("utf-8", errors="replace")[-2_000:]
        try:
            urllib.request.urlopen(f"{self.url}/schemas/types", timeout=2).close()
        except OSError:
            return False
        return True

    def pause(self) -> None:
        self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send(signal.SIGCONT)

    def stop(self) -> None:
        self._process.end(grace_seconds=0)
        self._scratch.remove()


@contextlib.contextmanager
def apicurio() -> Iterator[Apicurio]:
    registry = Apicurio(unpacked())
    try:
        registry.await_answer()
        yield registry
    finally:
        registry.stop()


def unpacked() -> Path:
    """The runner and its jars; fetched from Maven Central where they are not there yet (109 MB, once)."""
    from jgo.config import GlobalSettings  # noqa: PLC0415 - an optional extra
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    settings = GlobalSettings.load()
    repository = Path(settings.repo_cache)
    folder = repository / "io/apicurio/apicurio-registry-app" / VERSION / "unpacked"
    if (folder / RUNNER).exists():
        return folder
    remotes = {**settings.repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=repository, local_repos=[], remote_repos=remotes)
    component = context.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
    archive = Path(component.artifact(classifier="all", packaging="tar.gz").resolve())
    with archive.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256, f"{archive} is not what was pinned"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder
