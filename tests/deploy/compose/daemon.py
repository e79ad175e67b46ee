"""A Docker daemon of our own: another socket, another folder, and, when it runs containers, another network."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_until

CACHE = Path(os.environ.get("PREDICTION_WORKER_BED", Path.home() / ".cache/prediction-worker/bed")) / "compose"
SECONDS = 1_800.0


@dataclass(frozen=True, slots=True)
class Docker:
    """Its client, by the daemon's address."""

    host: str

    def __call__(self, *words: str | Path) -> str:
        return output("docker", *words, environment=self.environment())

    def compose(self, *words: str | Path) -> str:
        return output(CACHE / "bin/docker-compose", *words, environment=self.environment())

    def environment(self) -> dict[str, str]:
        # Debian's daemon is older than BuildKit's protocol.
        return {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}

    def answers(self) -> bool:
        with contextlib.suppress(AssertionError):
            return bool(self("version", "--format", "{{.Server.Version}}"))
        return False

    def has(self, image: str) -> bool:
        return bool(self("images", "--quiet", image).strip())


@contextlib.contextmanager
def dockerd(*, networks: bool) -> Iterator[Docker]:
    """Runs until the end of the block. ``networks``: with bridges and rules, which is only for a network namespace of ours."""
    CACHE.mkdir(parents=True, exist_ok=True)
    state = Path(tempfile.mkdtemp(prefix="compose-docker-"))
    docker = Docker(f"unix://{state}/docker.sock")
    command = [
        *("dockerd", f"--host={docker.host}", f"--data-root={CACHE}/docker"),
        *(f"--exec-root={state}", f"--pidfile={state}/docker.pid"),
        *(() if networks else ("--bridge=none", "--iptables=false", "--ip6tables=false")),
    ]
    log = CACHE / "dockerd.log"
    with log.open("wb") as words, subprocess.Popen(command, stdout=words, stderr=words) as process:
        try:
            wait_until(lambda: docker.answers() or process.poll() is not None, 60)
            assert process.poll() is None, f"dockerd ended: {log.read_text('utf-8')[-2_000:]}"
            yield docker
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(state, ignore_errors=True)


def output(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """What a program says. Raises AssertionError with its last words when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env=os.environ | dict(environment or {}),
        timeout=SECONDS,
        check=False,
    )
    words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
    assert done.returncode == 0, f"{' '.join(map(str, command))[:200]}: {words}"
    return done.stdout
