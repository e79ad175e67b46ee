"""One alert when a drift opens, one when it is worse, one when it is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.drift.episodes import QUIET, SEVERITIES, Episode, advance, severity_of
from worker.drift.statistics import psi

QUIET_WINDOWS = 3


def told(scores: list[float], effects: list[float] | None = None) -> list[tuple[int, str, str]]:
    """Window, event and severity of each alert."""
    episode: Episode | None = None
    alerts: list[tuple[int, str, str]] = []
    for window, score in enumerate(scores):
        before = episode
        effect = effects[window] if effects else 0.0
        episode, event = advance(before, score, effect, start_ms=window, quiet_windows=QUIET_WINDOWS)
        if event is not None:
            known = episode or before
            assert known is not None
            alerts.append((window, str(event), known.severity))
    return alerts


def test_an_episode_opens_once_and_closes_once() -> None:
    """However many windows it lasts."""
    assert told([0.5, 1.1, 1.5, 1.2, 0.5, 0.5, 0.5, 0.5]) == [(1, "opened", "minor"), (6, "closed", "minor")]


def test_a_score_that_hovers_is_one_episode() -> None:
    """Below 1, but not quiet, or quiet for too short: it goes on."""
    assert told([1.1, 0.9, 0.95, 1.1, 0.5, 0.5, 0.9, 0.5, 0.5, 1.2]) == [(0, "opened", "minor")]


def test_the_limits_themselves() -> None:
    """A score of exactly 1 is no drift; one of exactly QUIET is quiet."""
    assert told([1.0]) == []
    assert told([1.01, QUIET, QUIET, QUIET])[-1] == (3, "closed", "minor")


def test_it_tells_again_only_when_it_is_worse() -> None:
    """Each step up is told once, steps down are not, and neither is a window that has not drifted."""
    alerts = told([1.1, 1.2, 1.3, 1.2, 0.9, 1.4], [0.05, 0.15, 0.05, 0.15, 0.9, 0.3])
    assert alerts == [(0, "opened", "minor"), (1, "updated", "major"), (5, "updated", "critical")]


def test_severities_are_psis() -> None:
    """They begin at the customary 0.1 and 0.25 of PSI, for small shifts of two bins."""
    for (_, effect), customary in zip(SEVERITIES[1:], (0.1, 0.25), strict=True):
        share = 0.5 + effect * np.sqrt(2 * np.log(2))
        assert psi([50, 50], [100 * share, 100 - 100 * share]) == pytest.approx(customary, rel=0.12)
    assert [severity_of(effect) for effect in (0.0, 0.134, 0.135, 0.21, 1.0)] == [
        "minor",
        "minor",
        "major",
        "critical",
        "critical",
    ]


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=40))
def test_events_alternate(windows: list[tuple[float, float]]) -> None:
    """Whatever comes, each opening has at most one end, updates lie in between, and severity never goes down."""
    alerts = told([score for score, _ in windows], [effect for _, effect in windows])
    is_open, rank = False, 0
    names: list[str] = [name for name, _ in SEVERITIES]
    for _, event, severity in alerts:
        assert (event == "opened") != is_open
        assert is_open is False or names.index(severity) >= rank + (event == "updated")
        is_open, rank = event != "closed", names.index(severity)


def test_an_episode_knows_when_it_began() -> None:
    """Its id needs the window in which it opened, over updates, too."""
    episode, _ = advance(None, 2.0, 0.0, start_ms=60_000, quiet_windows=1)
    episode, _ = advance(episode, 2.0, 0.5, start_ms=120_000, quiet_windows=1)
    assert episode == Episode(60_000, "critical")
