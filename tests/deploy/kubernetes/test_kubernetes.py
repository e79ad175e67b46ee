"""The manifests on a real Kubernetes, with the image of the Dockerfile: pods start, predict, move, are killed, and end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.architecture.source import ROOT
from tests.deploy.kubernetes.bed import BedError, wait_for
from tests.deploy.kubernetes.cluster import Cluster
from tests.deploy.kubernetes.field import NAME, Field, open_field
from tests.deploy.kubernetes.kafka_pod import KafkaPod, restricted
from tests.deploy.kubernetes.lives import Life
from tests.deploy.kubernetes.scalers import define_keda
from tests.deploy.kubernetes.workload import produce_labels

pytestmark = pytest.mark.timeout(900)
KILLED = 128 + 9
STATUS = "import pathlib; print(pathlib.Path('/proc/self/status').read_text())"
WRITE = "import pathlib; pathlib.Path('/opt/new').write_text('')"
METRICS = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
IDENTITY = "import os; print(os.getuid(), os.getgid(), os.path.exists('/var/run/secrets/kubernetes.io'))"


def assert_ended_well(lives: list[Life]) -> None:
    """Every pod that was told to go ended by itself, within its grace."""
    told = [life for life in lives if life.ended_by]
    assert told
    assert {life.name: life.exit_codes[-1:] for life in told} == {life.name: [0] for life in told}
    assert [life for life in told if not life.in_time] == []


def test_nothing_is_lost_or_doubled(cluster: Cluster, kafka_pod: KafkaPod, readings: Path) -> None:
    """The base, under load, through a rolling update, an eviction and a kill -9: every event is answered exactly once."""
    with open_field(cluster, kafka_pod, "base", readings, overlay="base", events=300_000) as field:
        field.await_ready()
        with field.load(1_000):
            field.await_progress()
            roll(field)
            evict(field)
            kill(field)
            field.await_progress()
        field.await_drained()
        field.verdict().assert_sound("exactly-once")
        lives = field.lives
    assert_ended_well(lives.of_component("worker") + lives.of_component("monitor"))


def roll(field: Field) -> None:
    """A rolling update of workers and monitor: other pods in the end."""
    before = {pod["metadata"]["uid"] for pod in field.workers()}
    field.kubectl("rollout", "restart", f"deployment/{NAME}", f"deployment/{NAME}-monitor")
    field.await_rolled_out()
    after = {pod["metadata"]["uid"] for pod in field.workers()}
    assert len(after) == len(before) == 2
    assert not before & after


def evict(field: Field) -> None:
    """A node that is drained: one pod may go, the next not before it is replaced."""
    first, second = (pod["metadata"]["name"] for pod in field.workers())
    wait_for("one may go", lambda: field.get("pdb", NAME)["status"].get("disruptionsAllowed") == 1, 30)
    field.evict(first)
    with pytest.raises(BedError, match="disruption budget"):
        field.evict(second)
    field.await_rolled_out()
    field.await_progress()


def kill(field: Field) -> None:
    """kill -9: the container starts again within its pod, as the same member of the group."""
    victim = field.workers()[0]
    name = victim["metadata"]["name"]
    before = field.restarts(name)
    field.kill(victim)
    wait_for("the container is started again", lambda: field.restarts(name) == before + 1, 60)
    field.await_rolled_out()
    field.await_progress()
    assert KILLED in field.lives.of[victim["metadata"]["uid"]].exit_codes


def test_pods_are_confined(cluster: Cluster, kafka_pod: KafkaPod, readings: Path) -> None:
    """Seen from inside: not root, no capability, no new privileges, a system-call filter, nothing to write, no token."""
    with open_field(cluster, kafka_pod, "confined", readings, overlay="base") as field:
        field.await_ready()
        name = field.workers()[0]["metadata"]["name"]
        python = ("exec", name, "--", "python", "-c")
        assert field.kubectl(*python, IDENTITY).split() == ["10001", "10001", "False"]
        status = dict(re.findall(r"^(\w+):\s*(\S+)$", field.kubectl(*python, STATUS), re.MULTILINE))
        assert {key: int(status[key], 16) for key in ("CapEff", "CapPrm", "CapBnd")} == dict.fromkeys(
            ("CapEff", "CapPrm", "CapBnd"), 0
        )
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        with pytest.raises(BedError, match="Read-only file system"):
            field.kubectl(*python, WRITE)


def test_the_namespace_takes_no_less(cluster: Cluster) -> None:
    """The pods are let in by the "restricted" standard, which refuses the same ones with a capability more."""
    cluster.apply(yaml.safe_dump(restricted("strict")))
    rendered = yaml.safe_load_all(cluster.kubectl("kustomize", ROOT / "k8s/base"))
    (template,) = (
        m["spec"]["template"] for m in rendered if m["metadata"]["name"] == NAME and m["kind"] == "Deployment"
    )
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] |= {"name": "one", "namespace": "strict"}
    cluster.apply(
        yaml.safe_dump(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": "strict"}}
        )
    )
    assert cluster.refuses(yaml.safe_dump(pod)) == ""
    pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] = ["NET_RAW"]
    assert "violates PodSecurity" in cluster.refuses(yaml.safe_dump(pod))
    cluster.kubectl("delete", "namespace", "strict", "--wait=false")


def test_a_stateful_set_keeps_its_ids(cluster: Cluster, kafka_pod: KafkaPod, readings: Path) -> None:
    """A pod that is gone for good comes back under its name, and takes over its predecessor's transactional id."""
    with open_field(
        cluster, kafka_pod, "stateful", readings, overlay="overlays/statefulset", kind="StatefulSet"
    ) as field:
        field.await_ready()
        with field.load(1_000):
            field.await_progress()
            before = field.workers()[0]
            name, identity = before["metadata"]["name"], transactional_id(field, before["metadata"]["name"])
            field.kill(before)
            field.kubectl("delete", "pod", name, "--grace-period=0", "--force")
            wait_for(
                "the pod is made again",
                lambda: (
                    name in {p["metadata"]["name"] for p in field.workers()}
                    and before["metadata"]["uid"] not in {p["metadata"]["uid"] for p in field.workers()}
                ),
                60,
            )
            field.await_rolled_out()
            assert transactional_id(field, name) == identity == f"stateful-{NAME}-0-0"
            field.await_progress()
        field.await_drained()
        field.verdict().assert_sound("exactly-once")


def transactional_id(field: Field, pod: str) -> str:
    (found,) = set(re.findall(r"transactional id ([\w.-]+)", field.logs(pod)))
    return str(found)


def test_labels_are_joined(cluster: Cluster, kafka_pod: KafkaPod, readings: Path) -> None:
    """With the labels' component every label is joined, each once, by the joiner."""
    with open_field(cluster, kafka_pod, "labelled", readings, overlay="overlays/labels", events=20_000) as field:
        field.await_ready()
        field.kubectl("rollout", "status", f"deployment/{NAME}-joiner", "--timeout=180s", seconds=185)
        field.producer.append(20_000)
        field.await_drained()
        good = produce_labels(kafka_pod.outside, field.topic, field.stream)
        pods = field.get("pods", "--selector=app.kubernetes.io/component=joiner")["items"]
        (name,) = (pod["metadata"]["name"] for pod in pods)

        def joined() -> dict[str, float]:
            shown = field.kubectl("exec", name, "--", "python", "-c", METRICS)
            found = re.findall(r'^labels_total\{outcome="(\w+)"\} (\S+)$', shown, re.MULTILINE)
            return {outcome: float(count) for outcome, count in found if float(count)}

        wait_for("every label is joined", lambda: sum(joined().values()) >= good, 60)
        assert joined() == {"joined": good}


def test_mutual_tls(cluster: Cluster, kafka_pod: KafkaPod, readings: Path) -> None:
    """With the certificates of its Secret the worker predicts through a listener that asks for them."""
    with open_field(cluster, kafka_pod, "tls", readings, overlay="overlays/tls", events=20_000) as field:
        field.await_ready()
        field.producer.append(20_000)
        field.await_drained()
        field.verdict().assert_sound("exactly-once")
        variables = field.workers()[0]["spec"]["containers"][0]["env"]
        assert {"name": "WORKER_KAFKA__BOOTSTRAP", "value": "kafka:9093"} in variables


@pytest.mark.parametrize("overlay", ["hpa", "keda"])
def test_autoscalers_are_accepted(cluster: Cluster, kafka_pod: KafkaPod, readings: Path, overlay: str) -> None:
    """Each autoscaler's overlay is taken strictly, KEDA's by its own definitions, and its workers predict."""
    define_keda(cluster)
    with open_field(
        cluster, kafka_pod, f"with-{overlay}", readings, overlay=f"overlays/{overlay}", events=20_000
    ) as field:
        field.await_ready()
        field.producer.append(20_000)
        field.await_drained()
        field.verdict().assert_sound("exactly-once")
