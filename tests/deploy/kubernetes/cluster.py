"""A cluster under test: this machine's own bed, or kind where images can be pulled."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.kubernetes.bed import CACHE, BedError, check_machine, output
from tests.deploy.kubernetes.certificates import Authority
from tests.deploy.kubernetes.control_plane import ControlPlane
from tests.deploy.kubernetes.go_programs import KUBERNETES
from tests.deploy.kubernetes.images import build_images
from tests.deploy.kubernetes.node import Node


@dataclass(frozen=True, slots=True)
class Cluster:
    """``folder`` is seen under the same path by the node, so a pod can mount what is in it.

    ``authority`` is the one that the API server trusts, None where that is not ours, as in kind.
    """

    program: Path
    kubeconfig: Path
    folder: Path
    authority: Authority | None

    def kubectl(self, *words: str | Path, stdin: str = "", seconds: float = 120.0) -> str:
        """What it says. Raises BedError with its last words when it fails."""
        return output(self.program, f"--kubeconfig={self.kubeconfig}", *words, stdin=stdin, seconds=seconds)

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "--output=json"))

    def apply(self, manifests: str) -> None:
        """Strictly: a field that the server does not know is an error."""
        self.kubectl("apply", "--server-side", "--validate=strict", "--filename=-", stdin=manifests)

    def refuses(self, manifests: str) -> str:
        """The reason; empty when it would be accepted."""
        try:
            self.kubectl("create", "--dry-run=server", "--filename=-", stdin=manifests)
        except BedError as refusal:
            return str(refusal)
        return ""


def start_cluster() -> contextlib.AbstractContextManager[Cluster]:
    """kind where it is installed, else this machine's own; the latter goes on if it was there before."""
    if shutil.which("kind"):
        return kind()
    return contextlib.nullcontext(_own()) if _answers() else bed()


def _own() -> Cluster:
    plane = CACHE / "plane"
    return Cluster(KUBERNETES.program("kubectl"), plane / "admin.conf", CACHE / "cluster", Authority(plane / "pki"))


def _answers() -> bool:
    """Whether ``python -m tests.deploy.kubernetes`` runs."""
    if not (CACHE / "plane/admin.conf").exists():
        return False
    with contextlib.suppress(BedError):
        return _own().kubectl("get", "--raw=/readyz", "--request-timeout=2s") == "ok"
    return False


@contextlib.contextmanager
def kind() -> Iterator[Cluster]:
    """A cluster of kind's, with the images; on Linux, where its pods can be reached through the node's container."""
    images, folder = CACHE / "images.tar", CACHE / "cluster"
    build_images(images)
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = CACHE / "kind.conf"
    named = ("--name", "prediction-worker")
    mounted = {"hostPath": str(folder), "containerPath": str(folder)}
    config = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [{"extraMounts": [mounted]}]}
    output(
        "kind",
        "create",
        "cluster",
        *named,
        f"--kubeconfig={kubeconfig}",
        "--config=-",
        stdin=json.dumps(config),
        seconds=600,
    )
    try:
        output("kind", "load", "image-archive", images, *named, seconds=300)
        cluster = Cluster(Path("kubectl"), kubeconfig, folder, None)
        (node,) = cluster.get("nodes")["items"]
        (address,) = (a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        output("ip", "route", "replace", node["spec"]["podCIDR"], "via", address)
        yield cluster
    finally:
        output("kind", "delete", "cluster", *named, seconds=300)


@contextlib.contextmanager
def bed() -> Iterator[Cluster]:
    """One node on this machine, with the images. Raises BedError when the machine lacks something."""
    check_machine()
    images = CACHE / "images.tar"
    build_images(images)
    folder = CACHE / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    plane = ControlPlane(CACHE / "plane")
    try:
        node = Node(CACHE / "node", plane, images)
        try:
            yield _own()
        finally:
            node.stop()
    finally:
        plane.stop()
