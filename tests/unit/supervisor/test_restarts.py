"""When a process that ended is started again."""

import pytest

from worker.errors import ExitCode
from worker.supervisor.restarts import POINTLESS, RestartPolicy, exit_status

POLICY = RestartPolicy(first_delay_seconds=1, longest_delay_seconds=30, stable_seconds=60)


def test_the_first_restart_is_immediate() -> None:
    """A killed process's partitions do not wait."""
    assert POLICY.delay_seconds(failures=1, chance=0.99) == 0


@pytest.mark.parametrize(("failures", "longest"), [(2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 30), (10_000, 30)])
def test_delays_double_up_to_a_bound(failures: int, longest: float) -> None:
    """Chance spreads a delay over its upper half."""
    assert POLICY.delay_seconds(failures, chance=0) == longest / 2
    assert POLICY.delay_seconds(failures, chance=0.999999) == pytest.approx(longest, rel=1e-3)


def test_a_long_run_wipes_the_slate() -> None:
    """Failures in a row are counted only between short runs."""
    assert POLICY.failures(before=5, ran_seconds=59) == 6
    assert POLICY.failures(before=5, ran_seconds=60) == 1


def test_what_a_restart_can_not_mend() -> None:
    """Usage, settings, model and the dead-letter limit; everything else is worth another try."""
    assert {code.value for code in POINTLESS} == {2, 3, 4, 7}
    assert ExitCode.FENCED not in POINTLESS


@pytest.mark.parametrize(("returncode", "status"), [(0, 0), (5, 5), (-9, 137), (-15, 143)])
def test_exit_status(returncode: int, status: int) -> None:
    """An end by a signal is told as a shell tells it."""
    assert exit_status(returncode) == status
