"""What is judged and remembered of one version of a model: its past, and its open episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from worker.drift.episodes import Episode, advance
from worker.drift.estimate import Estimator
from worker.drift.layout import Layout
from worker.drift.outcome import Alert, EpisodeEvent, SeriesReport
from worker.drift.profile import ReferenceProfile
from worker.drift.shown import shown
from worker.drift.significance import Finding, Past, Policy, Significance, Smoothed
from worker.drift.windows import WindowId
from worker.records import IntArray

STATISTIC = "jensen_shannon"
CONTRIBUTORS = 3
Which = tuple[str, str]


class Judge:
    """One profile, ready to judge by."""

    def __init__(self, profile: ReferenceProfile, policy: Policy) -> None:
        self.layout = Layout(profile)
        self.significance = Significance(self.layout, policy)
        self.estimator = Estimator(profile)
        self.bins = sum(series.bins for series in profile.series)
        self.assumes_independence = any(one.null is None for one in self.layout.judged)


@dataclass(slots=True)
class Version:
    """``judge`` is None where the profile is not known; then nothing of it is judged, and its episodes wait.

    ``last``: the window that closed last.
    """

    model_name: str
    judge: Judge | None
    policy: Policy
    last: WindowId
    lateness_ms: int
    past: Past = field(default_factory=dict)
    episodes: dict[Which, Episode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.judge is not None:
            fresh = self.judge.significance.fresh()
            if _sizes(self.past) != _sizes(fresh):
                self.past = fresh

    def judged(self, window: WindowId, counts: IntArray) -> tuple[list[SeriesReport], list[Alert]]:
        """One window that is worth it."""
        assert self.judge is not None
        findings, self.past = self.judge.significance.judge(counts, self.past)
        told = [alert for finding in findings if (alert := self._advanced(finding, window)) is not None]
        return list(map(_series_report, findings)), told

    def abandoned(self) -> Iterator[Alert]:
        """All episodes end, for nothing came any more: with the last window's time and no figures."""
        for which, episode in sorted(self.episodes.items()):
            yield Alert(
                **self._named(which, episode, "closed", self.last),
                statistic=0.0,
                span=1,
                null_quantile=0.0,
                threshold=0.0,
                effect=0.0,
                reference_records=0,
                window_records=0,
                bins=(),
                reference_counts=(),
                window_counts=(),
                top_contributors=(),
            )
        self.episodes.clear()

    def _advanced(self, finding: Finding, window: WindowId) -> Alert | None:
        which = finding.judged.series.name, finding.judged.what
        before = self.episodes.pop(which, None)
        quiet_windows = self.policy.quiet_windows
        after, event = advance(
            before, finding.score, finding.effect, start_ms=window.start_ms, quiet_windows=quiet_windows
        )
        if after is not None:
            self.episodes[which] = after
        episode = after or before
        if event is None or episode is None:
            return None
        return Alert(**self._named(which, episode, event, window), **_figures(finding))

    def _named(self, which: Which, episode: Episode, event: EpisodeEvent, window: WindowId) -> dict[str, Any]:
        (series, what), version = which, window.model_version
        return {
            "episode": f"{self.model_name}/{version}/{series}/{what}/{episode.since_ms}",
            "event": event,
            "model_name": self.model_name,
            "model_version": version,
            "series": series,
            "what": what,
            "severity": episode.severity,
            "window_start": window.start_ms,
            "window_end": window.end_ms,
            "statistic_name": STATISTIC,
        }

    def state(self) -> Any:
        """What JSON can hold."""
        return {
            "last": asdict(self.last),
            "lateness_ms": self.lateness_ms,
            "past": [[span, one.cells.tolist(), one.squares.tolist()] for span, one in self.past.items()],
            "episodes": [[*which, asdict(episode)] for which, episode in sorted(self.episodes.items())],
        }

    @staticmethod
    def of_state(state: Any, model_name: str, judge: Judge | None, policy: Policy) -> Version:
        past = {span: Smoothed(np.array(cells), np.array(squares)) for span, cells, squares in state["past"]}
        episodes = {(series, what): Episode(**episode) for series, what, episode in state["episodes"]}
        return Version(model_name, judge, policy, WindowId(**state["last"]), state["lateness_ms"], past, episodes)


def _sizes(past: Past) -> dict[int, tuple[int, int]]:
    return {span: (len(one.cells), len(one.squares)) for span, one in past.items()}


def _figures(finding: Finding) -> dict[str, Any]:
    judged, labels = finding.judged, finding.judged.labels()
    largest = np.argsort(-finding.terms, kind="stable")[:CONTRIBUTORS].tolist()
    return {
        "statistic": finding.statistic,
        "span": finding.span,
        "null_quantile": finding.null_quantile,
        "threshold": finding.threshold,
        "effect": finding.effect,
        "reference_records": int(judged.reference.sum()),
        "window_records": int(finding.counts.sum()),
        "bins": labels,
        "reference_counts": tuple(judged.reference.tolist()),
        "window_counts": tuple(finding.counts.tolist()),
        "top_contributors": tuple(labels[place] for place in largest if finding.terms[place] > 0),
    }


def _series_report(finding: Finding) -> SeriesReport:
    return SeriesReport(
        name=finding.judged.series.name,
        what=finding.judged.what,
        records=int(finding.counts.sum()),
        statistic=finding.statistic,
        threshold=finding.threshold,
        score=finding.score,
        span=finding.span,
        effect=finding.effect,
        drifted=finding.score > 1,
        shown=shown(finding.judged, finding.counts),
        counts=tuple(finding.counts.tolist()),
    )
