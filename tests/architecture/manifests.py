"""The Kubernetes manifests of every build as kustomize renders them, and what pods make of them; and Kubernetes' own schemas."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

from tests.architecture.source import ROOT
from tests.support.kustomize import rendered
from worker.settings import Settings, load_settings
from worker.settings.reference import configuration_page

K8S = ROOT / "k8s"
BASE, COMPONENTS = K8S / "base", K8S / "components"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
# Every overlay, and every pair of components that can be wanted together.
BUILDS: Mapping[str, tuple[Path, ...]] = {
    "base": (),
    **{name: (COMPONENTS / name,) for name in (*OVERLAYS, "pod-monitor")},
    **{
        ", ".join(names): tuple(COMPONENTS / name for name in names)
        for scaler in ("hpa", "keda")
        for names in ((scaler, "statefulset", "tls"), ("labels", scaler, "statefulset", "tls"))
    },
}
MINORS = ("1.35", "1.36", "1.37")
# Resources of others' definitions: an API server with these takes them strictly (make k8s-test).
DEFINED_ELSEWHERE = frozenset({"ScaledObject", "PodMonitor"})
VARIABLES = frozenset(re.findall(r"`(WORKER_[A-Z_]+)`<?", configuration_page()))


@functools.cache
def manifests(build: str) -> list[dict[str, Any]]:
    return rendered(BASE, *BUILDS[build])


def of_kind(build: str, kind: str) -> dict[str, dict[str, Any]]:
    """By name."""
    return {m["metadata"]["name"]: m for m in manifests(build) if m["kind"] == kind}


def one(build: str, kind: str) -> dict[str, Any]:
    (found,) = of_kind(build, kind).values()
    return found


def workloads(build: str) -> dict[str, dict[str, Any]]:
    """Everything that makes pods, by component."""
    return {
        m["metadata"]["labels"]["app.kubernetes.io/component"]: m
        for m in manifests(build)
        if "template" in m.get("spec", {})
    }


def serving(build: str) -> list[str]:
    """Components whose pods go on, and serve metrics and health."""
    return [component for component in workloads(build) if component != "topics"]


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    return dict(workload["spec"]["template"]["spec"])


def container_of(workload: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod_of(workload)["containers"]
    return dict(only)


def mounts_of(workload: dict[str, Any]) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container_of(workload)["volumeMounts"]}


def settings_of(build: str, component: str, tmp_path: Path) -> Settings:
    """As a pod has them: the file that its arguments name, from the config map that it mounts, and its environment."""
    workload = workloads(build)[component]
    arguments = container_of(workload)["args"]
    file = Path(arguments[arguments.index("--config") + 1])
    (volume,) = (v for v in pod_of(workload)["volumes"] if mounts_of(workload)[v["name"]] == str(file.parent))
    text = of_kind(build, "ConfigMap")[volume["configMap"]["name"]]["data"][file.name]
    (tmp_path / file.name).write_text(text, "utf-8")
    environment = {variable["name"]: variable["value"] for variable in container_of(workload)["env"]}
    assert set(environment) <= VARIABLES
    return load_settings(tmp_path / file.name, environment)


@functools.cache
def schema_registry(minor: str) -> tuple[Path, Any]:
    """The folder of the strict schemas of a version of Kubernetes, and the definitions that they share."""
    with resources.as_file(resources.files("kubernetes_validate")) as package:
        folder = package / f"kubernetes-json-schema/v{minor}.0-local-strict"
        definitions = json.loads((folder / "_definitions.json").read_text("utf-8"))
    registry: Registry[Any] = Registry()
    return folder, registry.with_resource("_definitions.json", Resource.from_contents(definitions))


def schema_of(manifest: dict[str, Any], minor: str) -> Path:
    group, _, version = manifest["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (manifest["kind"].lower(), group.split(".")[0], version)))
    return schema_registry(minor)[0] / f"{name}.json"


def faults(manifest: dict[str, Any], minor: str) -> Iterator[str]:
    schema = json.loads(schema_of(manifest, minor).read_text("utf-8"))
    validator = jsonschema.validators.Draft202012Validator(schema, registry=schema_registry(minor)[1])
    for error in validator.iter_errors(manifest):
        yield f"{manifest['kind']} {error.json_path}: {error.message}"


def scaling(build: str) -> tuple[dict[str, Any], int, int, dict[str, Any]]:
    """Of either autoscaler: what it scales, least, most, and how fast."""
    if "hpa" in build:
        spec = one(build, "HorizontalPodAutoscaler")["spec"]
        return spec["scaleTargetRef"], spec["minReplicas"], spec["maxReplicas"], spec["behavior"]
    spec = one(build, "ScaledObject")["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return spec["scaleTargetRef"], spec["minReplicaCount"], spec["maxReplicaCount"], behavior


SCALED = [build for build in BUILDS if {"hpa", "keda"} & set(build.split(", "))]
