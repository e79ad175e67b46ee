"""Manifests that contradict the settings, the partitions, the needs or themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kustomize import rendered
from tests.unit.planning.samples import autoscaler, changed, deployment, scaled_object, settings
from worker.doctor import Finding, Level
from worker.errors import ConfigurationError
from worker.planning import (
    JoinerMemory,
    Load,
    check_deadlines,
    check_manifests,
    joiner_memory,
    memory_of,
    read_manifests,
)
from worker.planning.manifests import quantity
from worker.settings import Settings, load_settings

K8S = Path(__file__).parents[3] / "k8s"
OVERLAYS = ["base", *(f"overlays/{path.name}" for path in sorted((K8S / "overlays").iterdir()))]
CONTAINER = "spec.template.spec.containers.0"
LOAD = Load(peak=5, per_process=100_000)  # of which one joiner of the manifests can hold a horizon


def check(*documents: dict[str, Any], partitions: int | None = 6, given: Settings | None = None) -> list[Finding]:
    own = given or settings()
    memory = memory_of(own, record_bytes=200, bundle_bytes=0)
    manifests = read_manifests(yaml.safe_dump_all(documents))
    each = [own] * len(manifests.workloads)
    found = list(check_manifests(manifests, each, partitions=partitions, memory=memory, joiner=JoinerMemory()))
    assert all(finding.fix for finding in found if finding.level is not Level.OK)
    return found


def only(*documents: dict[str, Any], partitions: int | None = 6, given: Settings | None = None) -> tuple[Level, str]:
    (found,) = check(*documents, partitions=partitions, given=given)
    return found.level, found.text


def test_manifests_that_agree() -> None:
    """A deployment with either autoscaler, and no contradiction."""
    assert only(deployment(), autoscaler()) == (Level.OK, "Deployment loans agrees with settings and needs")
    assert only(deployment(), scaled_object())[0] is Level.OK


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_our_own_manifests_agree(overlay: str, tmp_path: Path) -> None:
    """What k8s holds has no contradiction, with the partitions that its autoscalers are made for, and has one with fewer."""
    manifests = read_manifests(yaml.safe_dump_all(rendered(K8S / overlay)))
    assert manifests.settings == (K8S / "base/worker.toml").read_text("utf-8")
    (tmp_path / "worker.toml").write_text(manifests.settings, "utf-8")
    own = [load_settings(tmp_path / "worker.toml", workload.environment) for workload in manifests.workloads]
    memory, joiner = memory_of(own[0], record_bytes=200, bundle_bytes=0), joiner_memory(own[0], LOAD)

    def found(partitions: int) -> list[Finding]:
        return list(check_manifests(manifests, own, partitions=partitions, memory=memory, joiner=joiner))

    scaled = overlay in {"overlays/hpa", "overlays/keda"}
    most = 10 if scaled else 2
    assert [finding.level for finding in found(most)] == [Level.OK] * len(manifests.workloads)
    assert Level.ERROR in {finding.level for finding in found(most - 1)}


@pytest.mark.parametrize(
    ("path", "value", "level", "text"),
    [
        ("spec.replicas", 7, Level.ERROR, "1 processes would stand idle"),
        ("spec.template.spec.terminationGracePeriodSeconds", 20, Level.ERROR, "killed after 20 s"),
        (f"{CONTAINER}.livenessProbe.httpGet.path", "/readyz", Level.ERROR, "livenessProbe gets /readyz"),
        (f"{CONTAINER}.livenessProbe.httpGet.port", 8080, Level.ERROR, "asks port 8080"),
        (f"{CONTAINER}.livenessProbe.timeoutSeconds", 1, Level.WARNING, "one second"),
        (f"{CONTAINER}.readinessProbe", None, Level.WARNING, "no readinessProbe"),
        (f"{CONTAINER}.resources.limits.memory", "128Mi", Level.ERROR, "may have 128 MiB"),
        (f"{CONTAINER}.resources.requests.memory", "64Mi", Level.WARNING, "requests 64 MiB"),
        (f"{CONTAINER}.resources.limits", None, Level.WARNING, "no memory limit"),
        (f"{CONTAINER}.volumeMounts", None, Level.ERROR, "the root is read-only"),
    ],
)
def test_a_workload_that_contradicts(path: str, value: object, level: Level, text: str) -> None:
    """Each contradiction of a deployment is found, alone, with its level."""
    found = only(changed(deployment(), path, value))
    assert found[0] is level
    assert text in found[1]


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("spec.maxReplicas", 8, "8 pods, and 6 partitions: 2 processes would stand idle"),
        ("spec.minReplicas", 7, "the least is 7, the most 6"),
        ("spec.behavior", {"scaleDown": {"stabilizationWindowSeconds": 10}}, "after 10 quiet seconds"),
    ],
)
def test_an_autoscaler_that_contradicts(path: str, value: object, text: str) -> None:
    """Each contradiction of an autoscaler is found, alone."""
    assert text in only(deployment(), changed(autoscaler(), path, value))[1]


def test_processes_count() -> None:
    """Pods of several processes need as many partitions together."""
    supervised = changed(deployment(), f"{CONTAINER}.args", ["run", "--processes", "2"])
    assert "6 pods of 2 processes, and 6 partitions" in check(supervised, autoscaler())[0].text


def test_a_share_of_no_request() -> None:
    """A share of the CPU request needs a request."""
    assert "there is none" in only(changed(deployment(), f"{CONTAINER}.resources.requests.cpu", None), autoscaler())[1]


def test_a_scaler_of_another_group() -> None:
    """KEDA must look at the worker's topic and group."""
    other = changed(scaled_object(), "spec.triggers.0.metadata.consumerGroup", "loans")
    assert only(deployment(), other) == (
        Level.ERROR,
        "loans looks at consumerGroup 'loans', the worker's is 'loans-worker'",
    )


def test_two_scalers() -> None:
    """Two scalers of one workload are an error, and replicas beside one a warning."""
    assert "both scale loans" in only(deployment(), autoscaler(), scaled_object())[1]
    assert "sets it back to 2" in only(changed(deployment(), "spec.replicas", 2), autoscaler())[1]


def test_a_budget_that_keeps_every_pod() -> None:
    """A disruption budget under which no node can be drained is an error."""
    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "loans"}, "spec": {"minAvailable": 2}}
    assert only(deployment(), autoscaler(), budget)[0] is Level.ERROR
    assert only(deployment(), autoscaler(), changed(budget, "spec.minAvailable", 1))[0] is Level.OK


def test_unknown_partitions() -> None:
    """Without a number of partitions replicas are not compared, and that is said."""
    assert "not known" in only(deployment(), partitions=None)[1]


def test_telemetry_that_no_probe_reaches() -> None:
    """A worker that listens within its pod alone is not ready for anybody."""
    own = settings(WORKER_TELEMETRY__HOST="127.0.0.1")
    assert "where no probe reaches it" in only(deployment(), given=own)[1]


def test_no_worker() -> None:
    """Manifests without a worker are an error."""
    assert only(autoscaler()) == (Level.ERROR, "no container runs `prediction-worker run`")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not valid YAML (line 1)"),
        ("just text", "is no Kubernetes manifest"),
        ("kind: Deployment\nmetadata: {name: x}\nspec: {}", "lacks what its kind must have"),
    ],
)
def test_texts_that_are_no_manifests(text: str, said: str) -> None:
    """What can't be read as a manifest is refused in one line."""
    with pytest.raises(ConfigurationError) as caught:
        read_manifests(text)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(ConfigurationError, match=r"none\.yaml can't be read"):
        read_manifests(tmp_path / "none.yaml")


def test_quantities() -> None:
    """Kubernetes' units."""
    assert [quantity(text) for text in ("512Mi", "1Gi", "500m", "2", "1G")] == [2**29, 2**30, 0.5, 2, 1e9]
    with pytest.raises(ConfigurationError):
        quantity("lots")


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("WORKER_DELIVERY__LATENCY_TARGET_MS", "12000", "aborts transactions after 10 s"),
        ("WORKER_DELIVERY__WATCHDOG_SECONDS", "8", "ends the process before"),
        ("WORKER_DELIVERY__WATCHDOG_SECONDS", "130", "gives the loop up after 120 s"),
        ("WORKER_DELIVERY__GRACE_SECONDS", "5", "a stop has 5 s"),
        ("WORKER_KAFKA__OPTIONS", '{"max.poll.interval.ms": 12000}', "gives a member up after 12 s"),
    ],
)
def test_deadlines_that_contradict(variable: str, value: str, text: str) -> None:
    """Deadlines in the wrong order are found."""
    slow = {"WORKER_DELIVERY__LATENCY_TARGET_MS": "6000"} if "GRACE" in variable else {}
    assert any(text in finding.text for finding in check_deadlines(settings(**slow, **{variable: value})))
    assert list(check_deadlines(settings())) == []
