"""When a drift opens, grows, and is over: one alert for each, however many windows it lasts.

An episode opens with a window whose score is above 1. It is over after a number of windows in a row with scores of at
most ``QUIET``; in between it goes on, so a score that hovers about 1 is one episode. It tells again only when it is worse than it
was so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from worker.drift.outcome import EpisodeEvent, Severity

QUIET: Final = 0.8
SEVERITIES: Final[tuple[tuple[Severity, float], ...]] = (("minor", 0.0), ("major", 0.135), ("critical", 0.21))
"""From which effect on. PSI's customary 0.1 and 0.25, as Jensen-Shannon distances (``worker.drift.statistics.psi``);
a shift of a normal feature by 0.32 and by 0.5 standard deviations.
"""


@dataclass(frozen=True, slots=True)
class Episode:
    """``since_ms``: the start of the window in which it opened; ``quiet``: so many windows in a row were, at last."""

    since_ms: int
    severity: Severity
    quiet: int = 0


def severity_of(effect: float) -> Severity:
    *_, worst = (name for name, least in SEVERITIES if effect >= least)
    return worst


def advance(
    episode: Episode | None, score: float, effect: float, *, start_ms: int, quiet_windows: int
) -> tuple[Episode | None, EpisodeEvent | None]:
    """The episode after one more window, and what is to be told of it; ``None`` where there is none."""
    drifted, severity = score > 1, severity_of(effect)
    if episode is None:
        return (Episode(start_ms, severity), "opened") if drifted else (None, None)
    if drifted and _rank(severity) > _rank(episode.severity):
        return Episode(episode.since_ms, severity), "updated"
    after = replace(episode, quiet=episode.quiet + 1 if score <= QUIET else 0)
    return (None, "closed") if after.quiet >= quiet_windows else (after, None)


def _rank(severity: Severity) -> int:
    return [name for name, _ in SEVERITIES].index(severity)
