"""``plan`` on the command line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from tests.unit.planning.samples import autoscaler, changed, deployment
from tests.unit.telemetry.test_metrics import REPORT, HandMoved
from worker.cli import app, guarded
from worker.clock import SystemClock
from worker.errors import ConfigurationError, ExitCode
from worker.telemetry.health import ProcessHealth
from worker.telemetry.http import TelemetryServer
from worker.telemetry.metrics import Build, MetricsObserver

CONTAINER = "spec.template.spec.containers.0"
SETTINGS = """
kafka = { bootstrap = "broker:9092", group = "loans-worker" }
topics = { input = "loans" }
event = { schema = "loan.avsc" }
model = { bundle = "bundle" }
"""


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder without settings."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments], input=given)


def test_a_plan_without_settings() -> None:
    """A load alone is enough for processes and partitions."""
    found = run("--rate", "20000", "--throughput", "10000", "--json")
    assert found.exit_code == 0, found.output
    shown = json.loads(found.stdout)
    assert shown["plan"] == {"least": 2, "steady": 3, "most": 3, "partitions": 6, "backlog": 6_000_000}
    assert "memory" not in shown


def test_a_plan_with_settings() -> None:
    """With settings there are memory and deadlines, a line each."""
    Path("worker.toml").write_text(SETTINGS, "utf-8")
    found = run("--rate", "20000", "--throughput", "10000")
    assert found.exit_code == 0, found.output
    rows = {line.split("\t")[0]: line.split("\t")[1] for line in found.stdout.splitlines() if "\t" in line}
    assert rows["processes at the peak"] == "3"
    assert rows["terminationGracePeriodSeconds"] == "30"
    assert rows["memory of a process"].endswith(" MiB")


@contextlib.contextmanager
def served(registry: CollectorRegistry) -> Iterator[tuple[str, ...]]:
    """Options that name its metrics, on a server of their own: it renders them ten times a second at most."""
    with TelemetryServer(registry, ProcessHealth(SystemClock()), host="127.0.0.1", port=0) as server:
        yield ("--rate", "20000", "--metrics", f"http://127.0.0.1:{server.port}/metrics", "--json")


def test_a_throughput_that_is_measured() -> None:
    """What one process can do is what workers under load did in the time of their stages; so is a record's size."""
    registry = CollectorRegistry()
    observer = MetricsObserver(registry, Build("1", "m", "1", "exactly-once"), unix_time=HandMoved())
    Path("worker.toml").write_text(SETTINGS, "utf-8")
    with served(registry) as options:
        assert isinstance(run(*options).exception, ConfigurationError)  # nothing has been predicted yet
    observer.delivered(REPORT)
    with served(registry) as options:
        shown = json.loads(run(*options).stdout)
        given = json.loads(run(*options, "--record-bytes", "200").stdout)
    assert shown["load"]["per_process"] == pytest.approx(10 / 0.0195)
    assert given["memory"]["prefetch"] < shown["memory"]["prefetch"]  # the records are of 123 bytes


def manifests(*documents: object, settings: str = SETTINGS) -> str:
    return yaml.safe_dump_all([*documents, {"kind": "ConfigMap", "data": {"worker.toml": settings}}])


def test_manifests_from_a_pipe() -> None:
    """Manifests are read from stdin, with the settings of their ConfigMap; a contradiction is exit code 1."""
    agreeing = run("--partitions", "6", "--check", "-", given=manifests(deployment(), autoscaler()))
    assert agreeing.exit_code == 0, agreeing.output
    too_many = manifests(deployment(), changed(autoscaler(), "spec.maxReplicas", 20))
    found = run("--partitions", "6", "--check", "-", given=too_many)
    assert found.exit_code == 1
    assert "14 processes would stand idle" in found.output


def test_partitions_of_the_plan() -> None:
    """Without --partitions, manifests are compared with those of the plan."""
    Path("all.yaml").write_text(manifests(deployment(), autoscaler()), "utf-8")
    small = ("--rate", "100", "--throughput", "10000", "--check", "all.yaml")
    assert "6 pods, and 2 partitions" in run(*small).output


def test_settings_in_manifests_that_do_not_load() -> None:
    """A ConfigMap that the worker would refuse is an error."""
    found = run("--check", "-", given=manifests(deployment(), settings=SETTINGS + "[delivery]\ngrace = 1\n"))
    assert found.exit_code == 1
    assert "delivery.grace is not a setting" in found.output


def test_each_container_has_its_own_environment() -> None:
    """A joiner's horizon may stand in its own container's environment; one that stands nowhere is an error."""
    joiner = changed(deployment(), f"{CONTAINER}.args", ["join"])
    told = {"name": "WORKER_LABELS__HORIZON_SECONDS", "value": "86400"}
    own = changed(joiner, f"{CONTAINER}.env", [*joiner["spec"]["template"]["spec"]["containers"][0]["env"], told])
    agreeing = run("--partitions", "6", "--check", "-", given=manifests(own, deployment()))
    assert agreeing.exit_code == 0, agreeing.output
    found = run("--partitions", "6", "--check", "-", given=manifests(joiner, deployment()))
    assert found.exit_code == 1
    assert "labels.horizon_seconds is not set" in found.output


def test_a_plan_with_labels() -> None:
    """With labels the plan has the memory that joiners hold."""
    Path("worker.toml").write_text(SETTINGS + "[labels]\nhorizon_seconds = 3600\n", "utf-8")
    load = ("--rate", "1024", "--throughput", "10000")
    assert "memory of all joiners\t3,600 MiB\t" in run(*load).stdout
    assert json.loads(run(*load, "--json").stdout)["joiner"]["held"] == 3_600 << 20


def test_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to plan, and a rate without a throughput, are refused with what to say."""
    assert isinstance(run().exception, ConfigurationError)
    assert isinstance(run("--rate", "5").exception, ConfigurationError)
    unreachable = run("--rate", "5", "--metrics", "http://127.0.0.1:1/metrics")
    assert isinstance(unreachable.exception, ConfigurationError)
    assert guarded(lambda: app(["plan"])) == ExitCode.CONFIGURATION
    assert "there is nothing to plan" in capsys.readouterr().err
