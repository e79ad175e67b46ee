"""The Kubernetes manifests, as kustomize renders them: valid, in agreement with the program, closed, and slow to scale."""

import ast
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.architecture.manifests import (
    BUILDS,
    COMPONENTS,
    DEFINED_ELSEWHERE,
    K8S,
    MINORS,
    OVERLAYS,
    SCALED,
    container_of,
    faults,
    manifests,
    mounts_of,
    of_kind,
    one,
    pod_of,
    scaling,
    serving,
    settings_of,
    workloads,
)
from tests.architecture.source import ROOT, modules
from tests.support.kustomize import rendered
from worker import __version__
from worker.shipped import shipped

IN_IMAGE = "/opt/shipped/"
SUPERVISOR_SECONDS = 5  # what `run --processes N` takes longer than a worker

every_build = pytest.mark.parametrize("build", BUILDS)


@pytest.mark.parametrize("minor", MINORS)
def test_manifests_are_valid(minor: str) -> None:
    """Every manifest of every build fits the schema of each of three versions of Kubernetes, without a field too many."""
    distinct = {json.dumps(m): m for build in BUILDS for m in manifests(build) if m["kind"] not in DEFINED_ELSEWHERE}
    assert [fault for manifest in distinct.values() for fault in faults(manifest, minor)] == []


def test_validation_finds_mistakes() -> None:
    """A misspelt field and a wrong type are both found."""
    budget = one("base", "PodDisruptionBudget")
    spec = budget["spec"] | {"maxUnavailabel": 1, "minAvailable": []}
    assert len(list(faults(budget | {"spec": spec}, MINORS[-1]))) == 2


def test_every_file_is_applied() -> None:
    """Each file below k8s is named by the kustomization of its folder, and each component by an overlay or the README."""
    for kustomization in K8S.rglob("kustomization.yaml"):
        content = yaml.safe_load(kustomization.read_text("utf-8"))
        generated = itertools.chain(*(generator["files"] for generator in content.get("configMapGenerator", ())))
        named = {*content.get("resources", ()), *generated, "kustomization.yaml"}
        assert {path.name for path in kustomization.parent.iterdir()} <= named
    readme = (K8S / "README.md").read_text("utf-8")
    assert [path.name for path in COMPONENTS.iterdir() if f"`{path.name}`" not in readme] == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("overlay", ["base", *(f"overlays/{name}" for name in OVERLAYS)])
def test_kubectl_renders_the_same(overlay: str) -> None:
    """What these tests look at is what `kubectl apply --kustomize` would send."""
    command = ["kubectl", "kustomize", str(K8S / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    theirs = {(m["kind"], m["metadata"]["name"]): m for m in yaml.safe_load_all(done.stdout)}
    assert theirs == {(m["kind"], m["metadata"]["name"]): m for m in rendered(K8S / overlay)}


@every_build
def test_pods_have_valid_settings(build: str, tmp_path: Path) -> None:
    """Config map and environment of each pod load, name a schema of the image, and mean the same group and topics."""
    seen = {component: settings_of(build, component, tmp_path) for component in workloads(build)}
    assert set(seen) == {"worker", "monitor", "topics"} | ({"joiner"} if "labels" in build else set())
    for same in ("kafka", "topics", "labels", "delivery"):
        assert len({getattr(settings, same).model_dump_json() for settings in seen.values()}) == 1
    assert seen["worker"].labels.enabled == ("labels" in build)
    for component in serving(build):
        schema, telemetry = str(seen[component].event.schema_file), seen[component].telemetry
        assert telemetry.host == "0.0.0.0"
        assert schema.startswith(IN_IMAGE)
        assert shipped(schema.removeprefix(IN_IMAGE)).is_file()


@every_build
def test_pods_find_their_bundle(build: str, tmp_path: Path) -> None:
    """The bundle's folder lies on the mounted volume, which no pod can write."""
    for component in serving(build):
        workload = workloads(build)[component]
        (models,) = (mount for mount in container_of(workload)["volumeMounts"] if mount["name"] == "models")
        assert settings_of(build, component, tmp_path).model.bundle.is_relative_to(models["mountPath"])
        assert models["readOnly"]


@every_build
def test_probes_ask_what_is_served(build: str, tmp_path: Path) -> None:
    """Probes and scraping ask for paths of the telemetry server, at the port of the settings."""
    (server,) = (m for m in modules() if m.name == "worker.telemetry.http")
    constants = (n.value for n in ast.walk(server.tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    served = {text for text in constants if re.fullmatch(r"/[a-z]+", text)}
    for component in serving(build):
        workload, port = workloads(build)[component], settings_of(build, component, tmp_path).telemetry.port
        container, scraped = container_of(workload), workload["spec"]["template"]["metadata"]["annotations"]
        probes = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        assert [get["path"] for get in probes.values()] == ["/healthz", "/healthz", "/readyz"]
        assert {get["port"] for get in probes.values()} == {"telemetry"}
        assert {"/healthz", "/readyz", scraped["prometheus.io/path"]} == served
        assert container["ports"] == [{"name": "telemetry", "containerPort": port}]
        assert scraped["prometheus.io/port"] == str(port)
    (service_port,) = one(build, "Service")["spec"]["ports"]
    assert (service_port["port"], service_port["targetPort"]) == (port, "telemetry")


@every_build
def test_pods_have_time_to_stop(build: str, tmp_path: Path) -> None:
    """Kubernetes waits for longer than the worker, or a supervisor of several, takes to stop."""
    for component in serving(build):
        grace = settings_of(build, component, tmp_path).delivery.grace_seconds
        assert pod_of(workloads(build)[component])["terminationGracePeriodSeconds"] > grace + SUPERVISOR_SECONDS


@every_build
def test_pods_are_confined(build: str) -> None:
    """All pods fit the "restricted" standard, are the image's user, have a read-only root, limits, and no token."""
    user = tuple(map(int, re.findall(r"\nUSER (\d+):(\d+)\n", (ROOT / "Dockerfile").read_text("utf-8"))[0]))
    assert not one(build, "ServiceAccount")["automountServiceAccountToken"]
    for workload in workloads(build).values():
        pod, container = pod_of(workload), container_of(workload)
        security = pod["securityContext"]
        assert security["runAsNonRoot"]
        assert (security["runAsUser"], security["runAsGroup"]) == user
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        assert pod["serviceAccountName"] in of_kind(build, "ServiceAccount")
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"] == f"prediction-worker:{__version__}"
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        writable = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
        assert {path for name, path in mounts_of(workload).items() if name in writable} == {"/tmp"}
        read_only = {m["name"] for m in container["volumeMounts"] if m.get("readOnly")}
        assert read_only | writable == set(mounts_of(workload))


@every_build
def test_selectors_find_their_pods(build: str) -> None:
    """Each workload's selector finds its own pods alone; a budget those of its name, the service workers, the policy all pods."""
    labels = {component: w["spec"]["template"]["metadata"]["labels"] for component, w in workloads(build).items()}

    def found(selector: Mapping[str, str]) -> set[str]:
        assert selector
        return {component for component, own in labels.items() if selector.items() <= own.items()}

    for component in serving(build):
        assert found(workloads(build)[component]["spec"]["selector"]["matchLabels"]) == {component}
    assert found(one(build, "Service")["spec"]["selector"]) == {"worker"}
    budgets = {name: budget["spec"] for name, budget in of_kind(build, "PodDisruptionBudget").items()}
    assert len(budgets) == len(set(labels) & {"worker", "joiner"})
    for component in set(labels) & {"worker", "joiner"}:
        budget = budgets[workloads(build)[component]["metadata"]["name"]]
        assert found(budget["selector"]["matchLabels"]) == {component}
        assert budget["maxUnavailable"] == 1
    assert found(one(build, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]) == set(labels)


@every_build
def test_the_network_is_closed(build: str, tmp_path: Path) -> None:
    """In come those who scrape, at the telemetry port; out go names and the broker's port, and nothing else."""
    policy = one(build, "NetworkPolicy")["spec"]
    broker = int(settings_of(build, "worker", tmp_path).kafka.bootstrap.rpartition(":")[2])
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (scraping,) = policy["ingress"]
    assert scraping["from"]
    assert scraping["ports"] == [{"port": "telemetry"}]
    to_brokers, to_names = policy["egress"]
    assert to_brokers == {"ports": [{"port": broker}]}
    assert {(port["port"], port["protocol"]) for port in to_names["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert to_names["to"]


@pytest.mark.parametrize("build", SCALED)
def test_the_group_scales_slowly(build: str) -> None:
    """The autoscaler means our workers, owns their number, and takes pods away one at a time, long after the load is gone."""
    target, least, most, behavior = scaling(build)
    worker = workloads(build)["worker"]
    assert target == {"apiVersion": worker["apiVersion"], "kind": worker["kind"], "name": worker["metadata"]["name"]}
    assert "replicas" not in worker["spec"]
    assert (least, most) == (2, 10)
    assert behavior == scaling("hpa")[3] == scaling("keda")[3]
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 5 * up["stabilizationWindowSeconds"]
    assert [policy["value"] for policy in down["policies"]] == [1]
    # A session that times out, and the rebalance that follows, take seconds; the next step is a minute away.
    assert min(policy["periodSeconds"] for policy in (*up["policies"], *down["policies"])) >= 60


@pytest.mark.parametrize("build", BUILDS)
def test_there_are_enough_partitions(build: str) -> None:
    """As many partitions are made as there may ever be workers: further ones would stand idle."""
    arguments = container_of(workloads(build)["topics"])["args"]
    partitions = int(arguments[arguments.index("--partitions") + 1])
    fixed = [workloads(build)[component]["spec"].get("replicas", 0) for component in serving(build)]
    most = scaling(build)[2] if build in SCALED else 0
    assert max(most, *fixed) <= partitions


@pytest.mark.parametrize("build", SCALED)
def test_lag_means_the_same_everywhere(build: str, tmp_path: Path) -> None:
    """Autoscalers ask for lag of the settings' group and topic, in batches, and for CPU of which pods request some."""
    settings = settings_of(build, "worker", tmp_path)
    batch = settings.delivery.max_batch_records
    assert container_of(workloads(build)["worker"])["resources"]["requests"]["cpu"] == "1"
    if "hpa" in build:
        cpu, lag = one(build, "HorizontalPodAutoscaler")["spec"]["metrics"]
        assert cpu["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
        assert lag["external"]["metric"]["name"] == "consumer_lag_records"
        assert lag["external"]["metric"]["selector"]["matchLabels"] == {"topic": settings.topics.input}
        assert lag["external"]["target"] == {"type": "AverageValue", "averageValue": str(batch)}
        return
    cpu, lag = one(build, "ScaledObject")["spec"]["triggers"]
    assert (cpu["type"], cpu["metadata"]) == ("cpu", {"value": "70"})
    metadata = lag["metadata"]
    assert (metadata["consumerGroup"], metadata["topic"]) == (settings.kafka.group, settings.topics.input)
    assert metadata["bootstrapServers"].rpartition(":")[0] == settings.kafka.bootstrap.rpartition(":")[0]
    assert metadata["lagThreshold"] == str(batch)
    assert metadata["offsetResetPolicy"] == settings.delivery.start
    assert "allowIdleConsumers" not in metadata


def test_stable_names_have_their_service() -> None:
    """The stateful set names the service that gives its pods their names, and that has no address of its own."""
    workload = workloads("statefulset")["worker"]
    assert workload["kind"] == "StatefulSet"
    assert workload["spec"]["serviceName"] in of_kind("statefulset", "Service")
    assert one("statefulset", "Service")["spec"]["clusterIP"] == "None"


def test_certificates_come_from_the_secret(tmp_path: Path) -> None:
    """With TLS, every pod must have the Secret, and the client's options name files where it is mounted."""
    for component, workload in workloads("tls").items():
        options = settings_of("tls", component, tmp_path).kafka.options
        assert options["security.protocol"] == "SSL"
        (secret,) = (volume for volume in pod_of(workload)["volumes"] if "secret" in volume)
        assert not secret["secret"]["optional"]
        files = {Path(str(value)) for name, value in options.items() if name != "security.protocol"}
        assert {file.parent for file in files} == {Path(mounts_of(workload)[secret["name"]])}
        assert {file.name for file in files} == {"ca.crt", "tls.crt", "tls.key"}


def test_readme_settings_are_the_manifests() -> None:
    """Numbers that the README tells are those of the manifests."""
    readme = (K8S / "README.md").read_text("utf-8")
    workload = workloads("base")["worker"]
    assert f"{pod_of(workload)['terminationGracePeriodSeconds']} s to end" in readme
    assert f"prediction-worker:{__version__}" in readme
