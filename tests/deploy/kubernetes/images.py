"""The images of the test: the worker's by its Dockerfile, and Kafka's; where nothing can be pulled, from stand-ins.

Where a Docker daemon answers, it is used, and official images are pulled. Elsewhere a daemon of our own is started, with
a data folder in the cache, and ``python:<version>-slim`` and ``apache/kafka`` are put together under their names from
Debian packages and the jars of the development broker. The Dockerfile is built as it is, either way.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.deploy.kubernetes.bed import CACHE, BedError, Daemon, output, wait_for
from worker import __version__
from worker.broker.jars import KAFKA_VERSION, class_path, java

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
WORKER = f"prediction-worker:{__version__}"
KAFKA = f"apache/kafka:{KAFKA_VERSION}"
PAUSE = "pause:1"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SUITE = "trixie"  # its Python is the Dockerfile's
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
BUILD_SECONDS = 1_800.0


class Docker:
    """A daemon, by its address."""

    def __init__(self, host: str) -> None:
        self.host = host

    def __call__(self, *words: str | Path, stdin: bytes = b"") -> str:
        # Debian's daemon is older than BuildKit's protocol.
        environment = {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}
        return output("docker", *words, stdin=stdin, environment=environment, seconds=BUILD_SECONDS)

    def answers(self) -> bool:
        with contextlib.suppress(BedError):
            return bool(self("version", "--format", "{{.Server.Version}}"))
        return False

    def has(self, image: str) -> bool:
        return bool(self("images", "--quiet", image).strip())

    def pulls(self, image: str) -> bool:
        with contextlib.suppress(BedError):
            self("pull", "--quiet", image)
            return True
        return False


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """The machine's daemon, or one of our own."""
    given = Docker(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    if given.answers():
        yield given
        return
    state = Path(tempfile.mkdtemp(prefix="bed-docker-"))
    folder = CACHE / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    own = Docker(f"unix://{state}/docker.sock")
    command = [
        "dockerd", f"--host={own.host}", f"--data-root={folder}/data", f"--exec-root={state}",
        f"--pidfile={state}/docker.pid", "--bridge=none", "--iptables=false", "--ip6tables=false",
    ]  # fmt: skip
    daemon = Daemon("dockerd", command, folder)

    def answers() -> bool:
        if not daemon.running:
            raise BedError("dockerd has ended: " + daemon.last_words())
        return own.answers()

    try:
        wait_for("dockerd answers", answers, 60)
        yield own
    finally:
        daemon.end(30)
        shutil.rmtree(state, ignore_errors=True)


def build_images(archive: Path) -> None:
    """The worker's, Kafka's and the pause image, as one archive that a container runtime imports."""
    with docker() as daemon:
        base = _base()
        if not daemon.has(base) and not daemon.pulls(base):
            _stand_in_for_python(daemon, base)
        daemon("build", "--network=host", "--tag", WORKER, ROOT)
        if not daemon.has(KAFKA) and not daemon.pulls(KAFKA):
            _stand_in_for_kafka(daemon, base)
        if not daemon.has(PAUSE):
            _pause(daemon)
        digests = "".join(daemon("images", "--no-trunc", "--quiet", image) for image in (WORKER, KAFKA, PAUSE))
        known = archive.with_suffix(".digests")
        if archive.exists() and known.exists() and known.read_text("utf-8") == digests:
            return
        aside = archive.with_suffix(".part")
        daemon("save", "--output", aside, WORKER, KAFKA, PAUSE)
        aside.replace(archive)
        known.write_text(digests, "utf-8")


def _base() -> str:
    """The image that the Dockerfile begins with."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    (version,) = re.findall(r"^ARG PYTHON_VERSION=([\d.]+)$", text, re.MULTILINE)
    assert "FROM python:${PYTHON_VERSION}-slim\n" in text
    return f"python:{version}-slim"


def _stand_in_for_python(daemon: Docker, name: str) -> None:
    """Debian with its own Python; the machine's certificates, since a proxy may stand between it and the packages."""
    root = CACHE / f"debian-{SUITE}"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        output("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root, seconds=BUILD_SECONDS)
    shutil.copy(CERTIFICATES, root / str(CERTIFICATES).lstrip("/"))
    (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n", "utf-8")
    python = root / "usr/local/bin/python"
    python.unlink(missing_ok=True)
    python.symlink_to("/usr/bin/python3")
    packed = CACHE / f"debian-{SUITE}.tar"
    output("tar", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*", "-C", root, "-cf", packed, ".")
    path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    daemon("import", "--change", path, packed, name)
    packed.unlink()


def _stand_in_for_kafka(daemon: Docker, base: str) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as context:
        shutil.copytree(HERE / "stand_ins/kafka", context, dirs_exist_ok=True)
        shutil.copytree(java().parents[1], Path(context, "java"))
        Path(context, "libs").mkdir()
        for jar in class_path():
            shutil.copy(jar, Path(context, "libs"))
        daemon("build", "--network=host", "--build-arg", f"BASE={base}", "--tag", KAFKA, context)


def _pause(daemon: Docker) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        go = {"CGO_ENABLED": "0", "GO111MODULE": "off"}
        output("go", "build", "-ldflags", "-s -w", "-o", f"{folder}/pause", HERE / "pause.go", environment=go)
        output("tar", "-C", folder, "-cf", f"{folder}/pause.tar", "pause")
        daemon("import", "--change", 'ENTRYPOINT ["/pause"]', f"{folder}/pause.tar", PAUSE)
