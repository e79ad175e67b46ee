"""``plan`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.unit.planning.samples import autoscaler, changed, deployment
from worker.cli import app, guarded
from worker.errors import ConfigurationError, ExitCode

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


def test_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to plan, and a rate without a throughput, are refused with what to say."""
    assert isinstance(run().exception, ConfigurationError)
    assert isinstance(run("--rate", "5").exception, ConfigurationError)
    unreachable = run("--rate", "5", "--metrics", "http://127.0.0.1:1/metrics")
    assert isinstance(unreachable.exception, ConfigurationError)
    assert guarded(lambda: app(["plan"])) == ExitCode.CONFIGURATION
    assert "there is nothing to plan" in capsys.readouterr().err
