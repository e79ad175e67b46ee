"""Programs that are no Python packages: asked for by name, missed only where they were promised."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

Program = Callable[[str], str]


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> Program:
    """The path of a program; without it the test is skipped, or fails with ``--observability``."""

    def found(name: str) -> str:
        path = shutil.which(name)
        if path is None and request.config.getoption("--observability"):
            pytest.fail(
                f"{name} is not installed; Debian has it: apt-get install prometheus prometheus-alertmanager npm"
            )
        if path is None:
            pytest.skip(f"{name} is not installed")
        return path

    return found


@pytest.fixture(scope="session")
def at_length(request: pytest.FixtureRequest) -> None:
    """For what takes longer than a test run should."""
    if not request.config.getoption("--observability"):
        pytest.skip("runs with make observability-test")
