"""Stand-ins for the images of docker-compose.yml, under their names, where none can be pulled.

Put together from Debian packages and jars of Maven Central: those of the development broker, and Apicurio's. The worker's
own image is built by its Dockerfile, as it is. Grafana can't be had so: in its place stands a server that reads what is provisioned and answers the
health check.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from tests.deploy.compose.daemon import CACHE, Docker, dockerd, output
from tests.integration.registry.apicurio import unpacked
from worker.broker.jars import class_path, java

ROOT = Path(__file__).parents[3]
STAND_INS = Path(__file__).parent / "stand_ins"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SUITE = "trixie"  # its Python is the Dockerfile's
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
COMPOSE = "github.com/docker/compose/v2@v2.40.3"


def build() -> None:
    """All that are missing; the worker's is always built."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    images = {service["image"] for service in services.values()}
    with dockerd(networks=False) as docker:
        base = base_image()
        if not docker.has(base):
            python_stand_in(docker, base)
        for image in sorted(images):
            _say(image)
            if image.startswith("prediction-worker"):
                docker("build", "--network=host", "--tag", image, ROOT)
            elif not docker.has(image):
                stand_in(docker, base, image)
    _compose()


def base_image() -> str:
    """The image that the Dockerfile begins with."""
    (version,) = re.findall(r"^ARG PYTHON_VERSION=([\d.]+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return f"python:{version}-slim"


def python_stand_in(docker: Docker, name: str) -> None:
    """Debian with its own Python; the machine's certificates, since a proxy may stand between it and the packages."""
    _say(name)
    root = CACHE / f"debian-{SUITE}"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        output("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root)
    shutil.copy(CERTIFICATES, root / str(CERTIFICATES).lstrip("/"))
    (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n", "utf-8")
    python = root / "usr/local/bin/python"
    python.unlink(missing_ok=True)
    python.symlink_to("/usr/bin/python3")
    packed = CACHE / f"debian-{SUITE}.tar"
    output("tar", "-C", root, "-cf", packed, ".")
    path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    docker("import", "--change", path, packed, name)
    packed.unlink()


def stand_in(docker: Docker, base: str, image: str) -> None:
    """``apache/kafka:4.3.0`` from ``stand_ins/kafka``."""
    name = image.partition(":")[0].rpartition("/")[2]
    with tempfile.TemporaryDirectory(dir=CACHE) as context:
        shutil.copytree(STAND_INS / name, context, dirs_exist_ok=True)
        if name in ("kafka", "apicurio-registry"):
            shutil.copytree(java().parents[1], Path(context, "java"))
        if name == "apicurio-registry":
            shutil.copytree(unpacked(), Path(context, "deployments"))
        if name == "kafka":
            Path(context, "libs").mkdir()
            for jar in class_path():
                shutil.copy(jar, Path(context, "libs"))
        docker("build", "--network=host", "--build-arg", f"BASE={base}", "--tag", image, context)


def _compose() -> None:
    """Docker Compose itself; Debian's is too old. Its module replaces others, so it is built in its own folder."""
    program = CACHE / "bin/docker-compose"
    if not program.exists():
        _say("docker-compose")
        source = json.loads(output("go", "mod", "download", "-json", COMPOSE))["Dir"]
        output("go", "build", "-C", source, "-o", program, "./cmd")


def _say(name: str) -> None:
    sys.stdout.write(f"{name} ...\n")
    sys.stdout.flush()


if __name__ == "__main__":
    build()
