"""The images of the test: the worker's by its Dockerfile, and Kafka's.

Where a Docker daemon answers, it is used, and official images are pulled. Elsewhere a daemon of our own is started, and
stand-ins take their names, those of Compose. The Dockerfile is built as it is, either way.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.deploy.compose.daemon import Docker, dockerd
from tests.deploy.compose.images import ROOT, base_image, python_stand_in, stand_in
from tests.deploy.kubernetes.bed import CACHE, output
from worker import __version__
from worker.broker.jars import KAFKA_VERSION

WORKER = f"prediction-worker:{__version__}"
KAFKA = f"apache/kafka:{KAFKA_VERSION}"
PAUSE = "pause:1"


def build_images(archive: Path) -> None:
    """The worker's, Kafka's and the pause image, as one archive that a container runtime imports; digests beside it."""
    with _docker() as docker:
        base = base_image()
        if not _had(docker, base):
            python_stand_in(docker, base)
        docker("build", "--network=host", "--tag", WORKER, ROOT)
        if not _had(docker, KAFKA):
            stand_in(docker, base, KAFKA)
        if not docker.has(PAUSE):
            _pause(docker)
        digests = "".join(docker("images", "--no-trunc", "--quiet", image) for image in (WORKER, KAFKA, PAUSE))
        known = archive.with_suffix(".digests")
        if archive.exists() and known.exists() and known.read_text("utf-8") == digests:
            return
        aside = archive.with_suffix(".part")
        docker("save", "--output", aside, WORKER, KAFKA, PAUSE)
        aside.replace(archive)
        known.write_text(digests, "utf-8")


@contextlib.contextmanager
def _docker() -> Iterator[Docker]:
    """The machine's daemon, or one of our own."""
    given = Docker(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    if given.answers():
        yield given
        return
    with dockerd(networks=False) as own:
        yield own


def _had(docker: Docker, image: str) -> bool:
    """It is there, or could be pulled."""
    if docker.has(image):
        return True
    with contextlib.suppress(AssertionError):
        docker("pull", "--quiet", image)
        return True
    return False


def _pause(docker: Docker) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        go = {"CGO_ENABLED": "0", "GO111MODULE": "off"}
        source = Path(__file__).with_name("pause.go")
        output("go", "build", "-ldflags", "-s -w", "-o", f"{folder}/pause", source, environment=go)
        output("tar", "-C", folder, "-cf", f"{folder}/pause.tar", "pause")
        docker("import", "--change", 'ENTRYPOINT ["/pause"]', f"{folder}/pause.tar", PAUSE)
