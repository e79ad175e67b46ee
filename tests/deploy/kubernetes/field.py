"""A namespace with the manifests of one overlay as they are, but for what a test must say: settings, broker, requests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.source import ROOT
from tests.chaos.checker import Verdict
from tests.chaos.reading import CommittedOffsets, judge
from tests.chaos.stream import SCHEMA, Stream, StreamProducer, make_stream
from tests.deploy.kubernetes.bed import BedError, wait_for
from tests.deploy.kubernetes.cluster import Cluster
from tests.deploy.kubernetes.kafka_pod import KafkaPod, restricted
from tests.deploy.kubernetes.lives import Lives

NAME = "prediction-worker"
BATCH = 1_000
WORKLOADS = "Deployment|StatefulSet|Job"
Patch = Mapping[str, Any]


@dataclass(slots=True)
class Field:
    """``topic`` is the namespace's name, and the group's."""

    cluster: Cluster
    kafka: KafkaPod
    topic: str
    kind: str
    partitions: int
    stream: Stream
    lives: Lives
    producer: StreamProducer
    _offsets: CommittedOffsets | None = None

    def kubectl(self, *words: str, stdin: str = "", seconds: float = 120.0) -> str:
        return self.cluster.kubectl(f"--namespace={self.topic}", *words, stdin=stdin, seconds=seconds)

    def get(self, *words: str) -> Any:
        return self.cluster.get(f"--namespace={self.topic}", *words)

    def await_ready(self, seconds: float = 180.0) -> None:
        """Topics are made, and every pod that should be there is ready."""
        wait = ("--timeout", f"{seconds:.0f}s")
        self.kubectl("wait", "--for=condition=Complete", f"job/{NAME}-topics", *wait, seconds=seconds + 5)
        self.await_rolled_out(seconds)

    def await_rolled_out(self, seconds: float = 180.0) -> None:
        for workload in (f"{self.kind.lower()}/{NAME}", f"deployment/{NAME}-monitor"):
            self.kubectl("rollout", "status", workload, f"--timeout={seconds:.0f}s", seconds=seconds + 5)

    def workers(self) -> list[dict[str, Any]]:
        """Pods of workers that were not told to go."""
        pods: list[dict[str, Any]] = self.get("pods", "--selector=app.kubernetes.io/component=worker")["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    @property
    def offsets(self) -> CommittedOffsets:
        if self._offsets is None:  # once the topics are there
            self._offsets = CommittedOffsets(self.kafka.outside, self.topic, self.topic, self.partitions)
        return self._offsets

    def lag(self) -> int:
        return self.producer.produced - self.offsets.total()

    def await_progress(self, seconds: float = 60.0) -> None:
        before = self.offsets.total()
        wait_for("the group commits more", lambda: self.offsets.total() > before, seconds)

    def await_drained(self, seconds: float = 120.0) -> None:
        with contextlib.suppress(BedError):  # what is missing then is for the checker to say
            wait_for("the lag is gone", lambda: self.lag() <= 0, seconds)

    @contextlib.contextmanager
    def load(self, events_per_second: float) -> Iterator[None]:
        """Events keep coming, in a thread."""
        ended = threading.Event()
        thread = threading.Thread(target=self.producer.append_steadily, args=(events_per_second, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def verdict(self) -> Verdict:
        """Of everything produced so far, once the group has committed all of it."""
        stream = self.stream.first(self.producer.produced)
        return judge(self.kafka.outside, self.topic, stream, self.offsets.now(), self.offsets.samples)

    def evict(self, pod: str) -> None:
        """By the eviction API, as a node that is drained does. Raises BedError when a budget forbids it."""
        metadata = {"name": pod, "namespace": self.topic}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{self.topic}/pods/{pod}/eviction"
        self.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))

    def kill(self, pod: Mapping[str, Any]) -> None:
        """kill -9 of a pod's first process, from outside: within its container the kernel would not obey."""
        os.kill(_first_process(pod["metadata"]["uid"]), signal.SIGKILL)

    def restarts(self, pod: str) -> int:
        (status,) = self.get("pod", pod)["status"]["containerStatuses"]
        return int(status["restartCount"])

    def logs(self, pod: str) -> str:
        return self.kubectl("logs", pod)


def _first_process(uid: str) -> int:
    """Of a pod's container that runs our program, as this machine numbers it."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            of_pod = entry.name.isdigit() and uid in (entry / "cgroup").read_text().replace("_", "-")
            if of_pod and b"prediction-worker" in (entry / "cmdline").read_bytes():
                return int(entry.name)
    raise BedError(f"no process of pod {uid} runs here")


@contextlib.contextmanager
def open_field(
    cluster: Cluster,
    kafka: KafkaPod,
    name: str,
    bundle: Path,
    *,
    overlay: str,
    kind: str = "Deployment",
    events: int = 100_000,
    partitions: int = 12,
    bad_ratio: float = 0.01,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    patches: Sequence[Patch] = (),
) -> Iterator[Field]:
    """The overlay, applied to a namespace of its own that goes in the end; nothing is produced yet."""
    cluster.apply(yaml.safe_dump_all([restricted(name), *_volume(name, bundle)]))
    if "tls" in overlay:
        cluster.apply(yaml.safe_dump(_certificates(name, kafka)))
    stream = make_stream(events, partitions=partitions, seed=7, bad_ratio=bad_ratio)
    try:
        with Lives(cluster, name) as lives:
            folder = _kustomization(cluster.folder / name, kafka, overlay, settings or {}, patches)
            cluster.apply(cluster.kubectl("kustomize", folder))
            producer = StreamProducer(kafka.outside, name, stream)
            yield Field(cluster, kafka, name, kind, partitions, stream, lives, producer)
            cluster.kubectl("delete", "namespace", name, "--timeout=90s")
            wait_for("every pod is gone", lambda: all(life.gone for life in lives.of.values()), 10)
    finally:
        cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
        cluster.kubectl("delete", "persistentvolume", name, "--ignore-not-found", "--wait=false")


def _kustomization(
    folder: Path,
    kafka: KafkaPod,
    overlay: str,
    further: Mapping[str, Mapping[str, Any]],
    patches: Sequence[Patch],
) -> Path:
    """For the namespace that the folder is named after."""
    name = folder.name
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": "kafka:9092", "group": name},
        "topics": {"input": name},
        "event": {"schema": "reading.avsc", "id": "id"},
        "model": {"bundle": "/models/readings"},
        "delivery": {"max_batch_records": BATCH},
    }
    for section, values in further.items():
        settings[section] |= values
    (folder / "worker.toml").write_text(_toml(settings), "utf-8")
    (folder / "reading.avsc").write_text(SCHEMA, "utf-8")
    alias = [{"ip": kafka.address, "hostnames": ["kafka"]}]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": name,
        "resources": [os.path.relpath(ROOT / "k8s" / overlay, folder)],
        "configMapGenerator": [{"name": NAME, "behavior": "replace", "files": ["worker.toml", "reading.avsc"]}],
        "patches": [
            change(WORKLOADS, ".*", "add", "/spec/template/spec/hostAliases", alias),
            # The node is small.
            change(WORKLOADS, ".*", "replace", "/spec/template/spec/containers/0/resources/requests/cpu", "50m"),
            change(WORKLOADS, ".*", "replace", "/spec/template/spec/containers/0/resources/requests/memory", "64Mi"),
            *patches,
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), "utf-8")
    return folder


def _toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """A table within a section in braces."""
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        for key, value in values.items():
            table = isinstance(value, dict)
            lines.append(f"{key} = {_table(value) if table else json.dumps(value)}")
    return "\n".join([*lines, ""])


def _table(values: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in values.items()) + " }"


def change(kind: str, name: str, verb: str, path: str, value: object) -> Patch:
    """One step of a JSON patch on all resources of a kind and name."""
    step = [{"op": verb, "path": path, "value": value}]
    return {"target": {"kind": kind, "name": name}, "patch": yaml.safe_dump(step)}


def _volume(name: str, bundle: Path) -> list[dict[str, Any]]:
    """The volume that the base claims, with the bundle in it as ``readings``."""
    common = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(bundle.parent)}},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "prediction-models", "namespace": name},
        "spec": {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return [volume, claim]


def _certificates(name: str, kafka: KafkaPod) -> dict[str, Any]:
    files = {"ca.crt": "ca.crt", "tls.crt": "worker.crt", "tls.key": "worker.key"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": name},
        "stringData": {key: kafka.authority.read(file) for key, file in files.items()},
    }
