"""Families 14, 15, 18, 19, 21, 27, 28, 32 and 36: what must cost no more memory or time than its own bytes do."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT
from tests.component.bad_input.bed import Size
from tests.component.bad_input.hostile import ALL

# Generous: a machine that is busy is slow, but what these records could cost without bounds is minutes.
SECONDS = {"near_the_limit": 5.0, "large_values": 5.0}


@pytest.mark.parametrize("name", ALL)
def test_survived(name: str, size: Size) -> None:
    """Under a limit on memory and CPU time the worker refuses hostile records, and predicts their neighbours."""
    found = json.loads(confined(name, size))
    assert found["verdicts"] == found["expected"]
    assert found["cpu_seconds"] < SECONDS.get(name, 2.0)


@pytest.mark.parametrize("name", ["items_of_no_bytes", "recursive_schemas", "enormous_schemas"])
def test_own_schema_is_refused(name: str) -> None:
    """19, 27, 28: as the worker's own schema they are refused as well, at the start and within the same limits."""
    assert confined(name, "reader") == ""


def confined(name: str, how: str) -> str:
    """What the process of its own prints; fails when the limits ended it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.component.bad_input.confined", name, how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-3_000:]}"
    return done.stdout


def test_the_limits_hold() -> None:
    """The confinement confines: what asks for more memory than it may is told so."""
    code = (
        "from tests.component.bad_input import confined; confined.confine(0)\n"
        "try: bytes(2 * confined.ROOM_BYTES)\nexcept MemoryError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "refused\n"
