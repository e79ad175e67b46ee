"""When a process that ended is started again, and when that would be pointless. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import ExitCode

# A restart finds the same settings, bundle and dead letters, and ends in the same way.
POINTLESS = frozenset({ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.MODEL, ExitCode.DEAD_LETTER_LIMIT})


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The first restart is immediate, since a killed process's partitions wait for it; then delays double.

    A process that ran for ``stable_seconds`` has a clean slate.
    """

    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 30.0
    stable_seconds: float = 60.0

    def failures(self, before: int, ran_seconds: float) -> int:
        """Failures in a row, with the one that has just ended a run of ``ran_seconds``."""
        return 1 if ran_seconds >= self.stable_seconds else before + 1

    def delay_seconds(self, failures: int, chance: float) -> float:
        """How long to wait after so many failures in a row.

        ``chance`` in [0, 1) spreads the restarts over the upper half of the delay, so that processes that failed
        together do not come back together.
        """
        if failures <= 1:
            return 0.0
        doubled = self.first_delay_seconds * 2.0 ** min(failures - 2, 32)
        return float(min(doubled, self.longest_delay_seconds) * (0.5 + chance / 2))


def exit_status(returncode: int) -> int:
    """A process's end as a shell tells it: killed by signal n is 128 + n."""
    return returncode if returncode >= 0 else 128 - returncode
