"""What a process does to be one of several under a supervisor; for its very first lines.

The supervisor tells it by two environment variables, so that the command line stays the user's own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from worker.telemetry.shared import share_metrics

SLOT_VARIABLE = "PREDICTION_WORKER_SLOT"
SUPERVISOR_VARIABLE = "PREDICTION_WORKER_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Child:
    """Which of the supervisor's processes this is: ``slot`` is 0 to n-1 and outlives a restart."""

    slot: int


def join_supervisor(environment: Mapping[str, str]) -> Child | None:
    """Tie this process's life and metrics to its supervisor; None when there is none.

    Call it before any metric is built. A child serves no metrics or health of its own: its supervisor does.
    """
    if SLOT_VARIABLE not in environment:
        return None
    slot = int(environment[SLOT_VARIABLE])
    die_with_parent(int(environment[SUPERVISOR_VARIABLE]))
    share_metrics(slot)
    return Child(slot)


def die_with_parent(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent ends in any way, kill -9 included. Linux only; else nothing.

    Exits at once when the parent is gone already.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)
