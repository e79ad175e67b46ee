"""A joiner in manifests: what it needs, and what it must have in common with the workers."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.planning.samples import changed, deployment, scaled_object, settings
from worker.doctor import Finding, Level
from worker.planning import JoinerMemory, Load, check_manifests, joiner_memory, read_manifests
from worker.planning.sizing import MIB
from worker.settings import Settings

CONTAINER = "spec.template.spec.containers.0"
LABELS = {"WORKER_LABELS__HORIZON_SECONDS": "86400"}


def joiner() -> dict[str, Any]:
    named = changed(deployment(), "metadata.name", "loans-joiner")
    return changed(changed(named, "spec.replicas", 2), f"{CONTAINER}.args", ["join", "--config", "/etc/worker.toml"])


def check(
    *documents: dict[str, Any], own: Settings | None = None, workers: Settings | None = None, held: int | None = None
) -> list[Finding]:
    """``own``: the settings of joiners; ``workers``: of workers."""
    manifests = read_manifests(yaml.safe_dump_all(documents))
    by_role = {"run": workers or settings(**LABELS), "join": own or settings(**LABELS)}
    each = [by_role[workload.role] for workload in manifests.workloads]
    found = list(check_manifests(manifests, each, partitions=6, memory=None, joiner=JoinerMemory(held=held)))
    assert all(finding.fix for finding in found if finding.level is not Level.OK)
    return [finding for finding in found if finding.level is not Level.OK]


def test_a_joiner_beside_workers() -> None:
    """Manifests of both that agree have no contradiction, in whatever order they come; a joiner alone has none either."""
    for documents in ((deployment(), joiner()), (joiner(), deployment()), (joiner(),)):
        manifests = read_manifests(yaml.safe_dump_all(documents))
        assert [workload.role for workload in manifests.workloads] == ["run", "join"][-len(documents) :]
        assert check(*documents) == []


@pytest.mark.parametrize(
    ("path", "value", "level", "text"),
    [
        ("spec.replicas", 7, Level.ERROR, "7 pods, and 6 partitions: 1 processes would stand idle"),
        ("spec.template.spec.terminationGracePeriodSeconds", 20, Level.ERROR, "killed after 20 s"),
        (f"{CONTAINER}.livenessProbe.httpGet.path", "/readyz", Level.ERROR, "livenessProbe gets /readyz"),
        (f"{CONTAINER}.readinessProbe.httpGet.port", 8080, Level.ERROR, "asks port 8080"),
        (f"{CONTAINER}.resources.limits.memory", "128Mi", Level.ERROR, "may have 128 MiB"),
        (f"{CONTAINER}.resources.limits", None, Level.WARNING, "no memory limit"),
        (f"{CONTAINER}.volumeMounts", None, Level.ERROR, "the root is read-only"),
    ],
)
def test_a_joiner_that_contradicts(path: str, value: object, level: Level, text: str) -> None:
    """Each contradiction of a joiner is found, alone, with its level."""
    (found,) = check(deployment(), changed(joiner(), path, value))
    assert (found.level, "loans-joiner" in found.text) == (level, True)
    assert text in found.text


def test_a_joiner_stops_alone() -> None:
    """No supervisor stands before a joiner, so its grace is its own; workers with a joiner beside them have one."""
    beside = settings(**LABELS, WORKER_LABELS__JOINER="true")
    short = changed(deployment(), "spec.template.spec.terminationGracePeriodSeconds", 22)
    assert ["a stop may take 25 s" in finding.text for finding in check(short, workers=beside)] == [True]
    assert check(changed(joiner(), "spec.template.spec.terminationGracePeriodSeconds", 22), own=beside) == []


def test_labels_that_nobody_waits_for() -> None:
    """A joiner without a horizon would end at once: an error."""
    (found,) = check(deployment(), joiner(), own=settings())
    assert (found.level, found.check) == (Level.ERROR, "labels")
    assert "labels.horizon_seconds is not set" in found.text


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("WORKER_KAFKA__GROUP", "kafka.group"),
        ("WORKER_TOPICS__PREDICTIONS", "topics.predictions"),
        ("WORKER_TOPICS__INPUT", "topics.input"),
    ],
)
def test_a_joiner_of_other_predictions(variable: str, name: str) -> None:
    """A joiner must mean the workers' group and topics."""
    found = check(deployment(), joiner(), own=settings(**LABELS | {variable: "others"}))
    assert f"loans-joiner has {name} 'others', the workers have 'loans" in "".join(f.text for f in found)


def test_a_budget_of_the_workers_alone() -> None:
    """A disruption budget counts for the pods that its selector finds."""
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "loans"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"role": "worker"}}},
    }
    mine = {"metadata": {"labels": {"role": "joiner"}}}
    one = joiner()
    one["spec"]["template"] |= mine
    assert check(one, budget) == []
    mine["metadata"]["labels"]["role"] = "worker"
    assert ["keeps every pod of loans-joiner" in finding.text for finding in check(one, budget)] == [True]


def test_a_scaler_of_the_joiners() -> None:
    """KEDA must look at the labels and the joiners' group."""
    path = "spec.triggers.0.metadata"
    own = changed(changed(scaled_object(), "spec.scaleTargetRef.name", "loans-joiner"), f"{path}.topic", "loans.labels")
    one = changed(joiner(), "spec.replicas", None)
    assert check(one, changed(own, f"{path}.consumerGroup", "loans-worker-labels")) == []
    assert ["the joiner's is 'loans-worker-labels'" in finding.text for finding in check(one, own)] == [True]


def test_what_joiners_hold() -> None:
    """A kilobyte for each prediction of the horizon, shared by the joiners; more than their limit is a warning."""
    memory = joiner_memory(settings(**LABELS), Load(10, 1_000))
    assert memory.held == 10 * 86_400 * 1_024
    assert memory.need(2) == memory.base + memory.held / 2
    assert joiner_memory(settings(**LABELS), None).held is joiner_memory(settings(), Load(10, 1_000)).held is None
    room = 2 * (1_024 * MIB - memory.base)
    assert check(joiner(), held=room) == []
    (found,) = check(joiner(), held=room + 4 * MIB)
    assert found.level is Level.WARNING
    assert "may have 1,024 MiB, and needs about 1,026 if the peak lasts" in found.text
    assert "1600Mi, or have more joiners" in found.fix
