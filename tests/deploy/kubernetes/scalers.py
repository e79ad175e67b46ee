"""What autoscaling needs beside a control plane, real ones: metrics-server, Prometheus with its adapter, KEDA."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.source import ROOT
from tests.deploy.kubernetes.bed import BedError, Daemon, wait_for
from tests.deploy.kubernetes.cluster import Cluster
from tests.deploy.kubernetes.control_plane import LOOPBACK
from tests.deploy.kubernetes.go_programs import KEDA, METRICS_SERVER, PROMETHEUS_ADAPTER
from worker.broker import ports

KEDA_NAMESPACE = "keda-system"
CPU = "/apis/metrics.k8s.io/v1beta1/nodes"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"


@contextlib.contextmanager
def metrics_server(cluster: Cluster) -> Iterator[None]:
    """CPU of pods, from the kubelet."""
    assert cluster.authority is not None
    pki = cluster.authority.folder
    (port,) = ports.free(1)
    command = [
        METRICS_SERVER.program("metrics-server"), *_served(cluster, port), f"--kubeconfig={cluster.kubeconfig}",
        "--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP", "--metric-resolution=15s",
        f"--kubelet-client-certificate={pki}/admin.crt", f"--kubelet-client-key={pki}/admin.key",
    ]  # fmt: skip
    with _running(cluster, "metrics-server", command), _aggregated(cluster, "metrics.k8s.io", port, CPU):
        yield


@contextlib.contextmanager
def prometheus_adapter(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Lag as an external metric: Prometheus scrapes the pods by their annotations, the adapter asks it, by our rule."""
    if shutil.which("prometheus") is None:
        raise BedError("Prometheus is missing: apt-get install --no-install-recommends prometheus")
    port, served = ports.free(2)
    folder = cluster.folder / "prometheus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_scraping(folder / "targets.json")), "utf-8")
    prometheus = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={LOOPBACK}:{port}",
    ]  # fmt: skip
    adapter = [
        PROMETHEUS_ADAPTER.program("prometheus-adapter"), *_served(cluster, served),
        f"--lister-kubeconfig={cluster.kubeconfig}", f"--prometheus-url=http://{LOOPBACK}:{port}",
        f"--config={ROOT}/k8s/prometheus-adapter.yaml", "--metrics-relist-interval=10s",
    ]  # fmt: skip
    with (
        _discovery(cluster, namespace, folder / "targets.json"),
        _running(cluster, "prometheus", prometheus),
        _running(cluster, "prometheus-adapter", adapter),
        _aggregated(cluster, "external.metrics.k8s.io", served, EXTERNAL),
    ):
        yield


@contextlib.contextmanager
def keda(cluster: Cluster) -> Iterator[None]:
    """Operator and adapter; its definitions stay."""
    assert cluster.authority is not None
    define_keda(cluster)
    certificates = cluster.folder / "keda-certificates"
    certificates.mkdir(exist_ok=True)
    for source, name in (("ca.crt", "ca.crt"), ("aggregated.crt", "tls.crt"), ("aggregated.key", "tls.key")):
        shutil.copy(cluster.authority.path(source), certificates / name)
    metrics, health, between, served, own = (f"{LOOPBACK}:{port}" for port in ports.free(5))
    operator = [
        KEDA.program("keda-operator"), f"--kubeconfig={cluster.kubeconfig}", f"--cert-dir={certificates}",
        f"--metrics-bind-address={metrics}", f"--health-probe-bind-address={health}",
        f"--metrics-service-bind-address={between}",
    ]  # fmt: skip
    port = int(served.rpartition(":")[2])
    adapter = [
        KEDA.program("keda-adapter"), *_served(cluster, port), f"--kubeconfig={cluster.kubeconfig}",
        f"--lister-kubeconfig={cluster.kubeconfig}", f"--port={own.rpartition(':')[2]}",
        f"--metrics-service-address={between}", f"--cert-dir={certificates}",
        f"--client-ca-file={certificates}/ca.crt",
    ]  # fmt: skip
    with (
        _running(cluster, "keda-operator", operator),
        _running(cluster, "keda-adapter", adapter),
        _aggregated(cluster, "external.metrics.k8s.io", port, EXTERNAL),
    ):
        yield


def define_keda(cluster: Cluster) -> None:
    """The definitions of its resources, and the namespace that it keeps things in."""
    for file in sorted((KEDA.source() / "config/crd/bases").glob("*.yaml")):
        cluster.apply(file.read_text("utf-8"))
    cluster.apply(yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KEDA_NAMESPACE}}))


def _scraping(targets: Path) -> dict[str, Any]:
    job = {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "5s"}]}
    return {"global": {"scrape_interval": "5s"}, "scrape_configs": [job]}


@contextlib.contextmanager
def _discovery(cluster: Cluster, namespace: str, targets: Path) -> Iterator[None]:
    """Pods that run, by their annotations, as Prometheus' own discovery finds them: Debian's is built without it."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(3):
            with contextlib.suppress(BedError):
                pods = cluster.get("pods", f"--namespace={namespace}")["items"]
                aside = targets.with_suffix(".part")
                aside.write_text(json.dumps([target for pod in pods for target in _target(pod)]), "utf-8")
                aside.replace(targets)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _target(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    metadata, status = pod["metadata"], pod["status"]
    annotations = {key.removeprefix("prometheus.io/"): value for key, value in metadata.get("annotations", {}).items()}
    if annotations.get("scrape") == "true" and status["phase"] == "Running" and "podIP" in status:
        labels = {"namespace": metadata["namespace"], "pod": metadata["name"], "__metrics_path__": annotations["path"]}
        yield {"targets": [f"{status['podIP']}:{annotations['port']}"], "labels": labels}


def _served(cluster: Cluster, port: int) -> list[str]:
    """How an aggregated API server listens, and whom it asks who somebody is."""
    assert cluster.authority is not None
    pki, config = cluster.authority.folder, cluster.kubeconfig
    return [
        f"--secure-port={port}", f"--bind-address={LOOPBACK}", f"--tls-cert-file={pki}/aggregated.crt",
        f"--tls-private-key-file={pki}/aggregated.key", f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
    ]  # fmt: skip


@contextlib.contextmanager
def _running(cluster: Cluster, name: str, command: list[Any]) -> Iterator[None]:
    variables = {
        "WATCH_NAMESPACE": "",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": KEDA_NAMESPACE,
        "POD_NAMESPACE": KEDA_NAMESPACE,
    }
    daemon = Daemon(name, command, cluster.folder, {**variables, "KEDA_HTTP_DEFAULT_TIMEOUT": ""})
    try:
        yield
        if not daemon.running:
            raise BedError(f"{name} has ended: {daemon.last_words()}")
    finally:
        daemon.end()


@contextlib.contextmanager
def _aggregated(cluster: Cluster, group: str, port: int, path: str) -> Iterator[None]:
    """An API group, served by a process of this machine, until the end."""
    name = group.split(".", maxsplit=1)[0] + "-aggregated"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    registration = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1beta1.{group}"},
        "spec": {
            "group": group,
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": name, "namespace": "kube-system", "port": port},
        },
    }
    cluster.apply(yaml.safe_dump_all([service, registration]))

    def answers() -> bool:
        with contextlib.suppress(BedError):
            return bool(cluster.kubectl("get", f"--raw={path}"))
        return False

    try:
        wait_for(f"{group} is served", answers, 90, pause=1)
        yield
    finally:
        cluster.kubectl("delete", "apiservice", f"v1beta1.{group}")
        cluster.kubectl("delete", "service", name, "--namespace=kube-system")
