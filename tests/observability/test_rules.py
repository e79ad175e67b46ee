"""The rules by the judgement of Prometheus's own tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.observability.conftest import Program

FOLDER = Path(__file__).parents[2] / "observability"


def accepted(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alerts_fire_when_they_must_and_only_then(program: Program) -> None:
    """Every case of every alert, told by `promtool test rules`."""
    tests = sorted(str(path) for path in (FOLDER / "rules/tests").glob("*.yml"))
    accepted(program("promtool"), "test", "rules", *tests)


def test_prometheus_accepts_its_configuration(program: Program) -> None:
    """The configuration and the rules that it names are valid."""
    assert "SUCCESS" in accepted(program("promtool"), "check", "config", str(FOLDER / "prometheus.yml"))


def test_alertmanager_accepts_its_configuration(program: Program) -> None:
    """Routes, receivers and inhibitions are valid."""
    assert "SUCCESS" in accepted(program("amtool"), "check-config", str(FOLDER / "alertmanager.yml"))


def test_a_rule_that_can_not_fire_is_noticed(program: Program, tmp_path: Path) -> None:
    """With a threshold that nothing reaches, the cases of that alert fail."""
    for name in ("recording", "alerts"):
        text = (FOLDER / f"rules/{name}.yml").read_text("utf-8")
        (tmp_path / f"{name}.yml").write_text(text.replace("aborted_ratio5m > 0.1", "aborted_ratio5m > 1"), "utf-8")
    (tmp_path / "tests").mkdir()
    case = tmp_path / "tests/health.yml"
    case.write_text((FOLDER / "rules/tests/health.yml").read_text("utf-8"), "utf-8")
    command = [program("promtool"), "test", "rules", str(case)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "PredictionWorkerAborts" in done.stdout + done.stderr
