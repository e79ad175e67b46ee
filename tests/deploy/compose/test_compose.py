"""``docker compose up`` on a real Docker Engine, in a network namespace of its own (`make compose-test`)."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose.daemon import CACHE, Docker, dockerd, output
from tests.support.waiting import wait_until
from worker.shipped import output_schema

ROOT = Path(__file__).parents[3]
FILE = ("--file", ROOT / "docker-compose.yml", "--profile", "tls", "--profile", "registry")
UP_SECONDS = 300.0
FLIGHTS = 20_000
REGISTRY = "http://127.0.0.1:8081/apis/ccompat/v7"
SUBJECT = "flights.predictions-value"

pytestmark = [pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def up(request: pytest.FixtureRequest) -> Iterator[Docker]:
    """Everything is started, with all profiles, and removed in the end."""
    if not request.config.getoption("--compose"):
        pytest.skip("runs with make compose-test")
    assert not output("ip", "route"), "run it in a network namespace of its own: unshare --net"
    output("ip", "link", "set", "lo", "up")
    with dockerd(networks=True) as docker:
        try:
            docker.compose(*FILE, "up", "--detach", "--no-build", "--pull", "never")
            yield docker
        finally:
            (CACHE / "containers.log").write_text(docker.compose(*FILE, "logs"), "utf-8")
            docker.compose(*FILE, "down", "--volumes", "--timeout", "40")


def containers(docker: Docker) -> dict[str, dict[str, Any]]:
    lines = docker.compose(*FILE, "ps", "--all", "--format", "json").splitlines()
    return {one["Name"]: one for one in map(json.loads, lines)}


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def value(expr: str) -> float:
    """By Prometheus, as of now; 0 where there is nothing."""
    query = urllib.parse.urlencode({"query": expr})
    found = answer(f"http://127.0.0.1:9090/api/v1/query?{query}")["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def registered() -> list[str]:
    """Subjects, while the registry answers."""
    with contextlib.suppress(OSError):
        return list(answer(f"{REGISTRY}/subjects"))
    return []


def inspected(docker: Docker, topic: str, last: int) -> list[dict[str, Any]]:
    """The last records of a topic, by a worker that can ask the registry."""
    command = ("inspect", "--topic", topic, "--last", str(last), "--values", "--json")
    lines = docker.compose(*FILE, "exec", "--no-TTY", "worker-registry", "prediction-worker", *command).splitlines()
    return [json.loads(line) for line in lines]


def test_everything_becomes_healthy(up: Docker) -> None:
    """Whatever has a health check passes it, and whatever ends has ended well."""

    def well() -> bool:
        states = containers(up).values()
        lasting = [c["Health"] for c in states if c["Service"] not in {"topics", "bundle", "certificates", "replay"}]
        return len(lasting) == 11 and set(lasting) == {"healthy"}

    wait_until(well, UP_SECONDS)
    ended = {c["Service"]: c["ExitCode"] for c in containers(up).values() if c["State"] == "exited"}
    assert ended.keys() >= {"topics", "bundle", "certificates"}
    assert set(ended.values()) == {0}


def test_flights_are_predicted_and_watched(up: Docker) -> None:
    """Prometheus finds four workers, one of which speaks TLS, monitor and joiner; flights are predicted, and drift is found."""
    wait_until(lambda: value("count(up == 1)") == 6, UP_SECONDS)
    wait_until(lambda: value("count(worker_assigned_partitions > 0)") == 4, UP_SECONDS)
    wait_until(lambda: value("sum(worker_assigned_partitions)") == 6, UP_SECONDS)
    wait_until(lambda: value("sum(worker_records_consumed_total)") > FLIGHTS, UP_SECONDS)
    assert value("sum(worker_dead_letters_total)") > 0
    wait_until(lambda: value("sum(drift_open_episodes)") > 0, UP_SECONDS)
    wait_until(lambda: value('count(ALERTS{alertname="PredictionDriftOpen", alertstate="firing"})') > 0, UP_SECONDS)


def test_predictions_are_registered(up: Docker) -> None:
    """The worker of the profile registers what it writes, and its predictions name it, beside those of the others."""
    wait_until(lambda: registered() == [SUBJECT], UP_SECONDS)
    latest = answer(f"{REGISTRY}/subjects/{SUBJECT}/versions/latest")
    assert json.loads(latest["schema"]) == json.loads(output_schema("prediction"))
    predictions: list[dict[str, Any]] = []

    def of_both_kinds() -> bool:
        predictions[:] = inspected(up, "flights.predictions", 2_000)
        return {one["framing"] for one in predictions} == {"confluent", "single-object"}

    wait_until(of_both_kinds, UP_SECONDS)
    assert {one["schema_id"] for one in predictions if one["framing"] == "confluent"} == {latest["id"]}
    assert {one["values"]["model_name"] for one in predictions} == {"flights-boosting"}


def test_quality_is_realised(up: Docker) -> None:
    """Flights that have landed are joined to the predictions of all workers, and the monitor publishes how many were right."""
    wait_until(lambda: value("sum(quality_windows_closed_total)") > 0, UP_SECONDS)
    wait_until(lambda: value("sum(quality_realised)") > 0, UP_SECONDS)
    wait_until(lambda: value("sum(labels_assigned_partitions)") == 6, UP_SECONDS)
    wait_until(lambda: value('sum(labels_total{outcome="joined"})') > 0, UP_SECONDS)
    assert value('sum(labels_total{outcome!="joined"})') == 0
    assert value("sum(labels_predictions_refused_total)") == 0


def test_alerts_reach_alertmanager(up: Docker) -> None:
    """What fires in Prometheus is told to Alertmanager."""

    def told() -> bool:
        alerts = answer("http://127.0.0.1:9093/api/v2/alerts")
        return "PredictionDriftOpen" in {alert["labels"]["alertname"] for alert in alerts}

    wait_until(told, UP_SECONDS)


def test_the_image_has_its_extras(up: Docker) -> None:
    """What traces and the check of manifests need can be imported where the workers run."""
    code = "import opentelemetry.exporter.otlp.proto.http, opentelemetry.sdk, yaml"
    up.compose(*FILE, "exec", "--no-TTY", "worker", "python", "-c", code)


def test_containers_are_nobodys_root(up: Docker) -> None:
    """No running container is root, has a capability, or can gain one."""
    for name in containers(up):
        described = json.loads(up("inspect", name))[0]
        if described["State"]["Running"]:
            status = Path(f"/proc/{described['State']['Pid']}/status").read_text("ascii")
            fields = dict(line.split(":\t", 1) for line in status.splitlines())
            assert not fields["Uid"].startswith("0"), name
            assert int(fields["CapEff"], 16) == 0, name
            assert fields["NoNewPrivs"] == "1", name


def test_a_registry_that_forgot(up: Docker) -> None:
    """A registry that is started anew has nothing in it; its worker is started with it, and registers once more."""
    up.compose(*FILE, "restart", "registry")
    wait_until(lambda: registered() == [SUBJECT], UP_SECONDS)
