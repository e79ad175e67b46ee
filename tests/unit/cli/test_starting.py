"""``init`` and ``completion``: what is there before there is a project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worker.cli import app
from worker.errors import ExitCode
from worker.settings import load_settings

PROGRAM = Path(sys.executable).parent / "prediction-worker"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_project_by_its_name(tmp_path: Path) -> None:
    """A project is called as it was asked to be, in every file, and its settings load."""
    found = run("init", "pumps", "--to", str(tmp_path / "here"))
    assert found.exit_code == 0, found.output
    files = {path.relative_to(tmp_path / "here"): path for path in (tmp_path / "here").rglob("*") if path.is_file()}
    assert {str(name) for name in files} == {
        *("README.md", "worker.toml", "train.py", "readings.py", "send.py", ".gitignore"),
        *("schemas/reading.avsc", "tests/test_model.py"),
    }
    assert [name for name, path in files.items() if "starter" in path.read_text("utf-8")] == []
    settings = load_settings(tmp_path / "here" / "worker.toml", {})
    assert (settings.topics.input, settings.kafka.group) == ("pumps", "pumps-worker")
    assert settings.drift.monitor


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A folder that holds something is left alone."""
    (tmp_path / "mine").write_text("mine")
    found = run("init", "pumps", "--to", str(tmp_path))
    assert found.exit_code == ExitCode.USAGE
    assert "is not empty" in " ".join(found.output.replace("│", "").split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["Pumps", "1st", "a/b", "", "x" * 61, "../up"])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    """What can't be a topic, a group and a folder at once is refused."""
    assert run("init", name, "--to", str(tmp_path / "here")).exit_code == ExitCode.USAGE
    assert not (tmp_path / "here").exists()


def completed(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words."""
    line = (
        f'source {script}; COMP_WORDS=({" ".join(words)} ""); COMP_CWORD={len(words)}; '
        '_prediction_worker_completion prediction-worker; echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, timeout=60, check=True)
    return set(done.stdout.split())


def test_completion(tmp_path: Path) -> None:
    """Bash, given the script, offers commands and sub-commands; there is one for each shell."""
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").output)
    assert {"run", "doctor", "top", "init"} <= completed(script, "prediction-worker")
    assert completed(script, "prediction-worker", "dlq") == {"list", "show", "replay", "resume"}
    assert "#compdef prediction-worker" in run("completion", "zsh").output
    assert "complete --command prediction-worker" in run("completion", "fish").output
    assert run("completion", "tcsh").exit_code == ExitCode.USAGE
