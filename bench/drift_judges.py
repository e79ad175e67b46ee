"""The monitor and two customary rules on the same windows: when each opens an episode, and of which feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from bench.drift_streams import DIGEST, Stream, counted, profile_of, sketch_of
from worker.drift.episodes import Episode, advance
from worker.drift.judged import DISTRIBUTION
from worker.drift.monitor import DriftMonitor
from worker.drift.outcome import SeriesReport
from worker.drift.profile import SCORE, ReferenceProfile
from worker.drift.significance import Policy

PSI, KS = "PSI > 0.2", "KS p < 0.05"
QUIET_WINDOWS = Policy().quiet_windows


@dataclass(frozen=True, slots=True)
class Run:
    """One stream: a training period of ``blocks`` windows, then ``windows`` more, in which a shift may begin."""

    stream: Stream
    blocks: int
    windows: int
    shift_from: int = 0
    shift: float = 0.0


Opened = list[tuple[int, str]]
"""Window and feature of each episode."""


@dataclass(slots=True)
class _Rule:
    """A verdict by window, with the same closing as the monitor's episodes: a run of alarms is one episode."""

    episodes: dict[str, Episode] = field(default_factory=dict)
    opened: Opened = field(default_factory=list)

    def take(self, window: int, name: str, drifted: bool) -> None:
        after, event = advance(
            self.episodes.pop(name, None), 2.0 * drifted, 0.0, start_ms=window, quiet_windows=QUIET_WINDOWS
        )
        if after is not None:
            self.episodes[name] = after
        if event == "opened":
            self.opened.append((window, name))


def judge(run: Run, rates: Mapping[str, float]) -> dict[str, Opened]:
    """Episodes by judge: the monitor's at each of the ``rates``, by its name, and the rules'."""
    profile = profile_of(run.stream, run.blocks)
    monitors = {name: DriftMonitor({DIGEST: profile}, Policy(rate=rate)) for name, rate in rates.items()}
    found: dict[str, Opened] = {name: [] for name in monitors}
    rules = {PSI: _Rule(), KS: _Rule()}
    references = _references(profile)
    for window, counts in enumerate(counted(run.stream, profile, run.windows, run.shift_from, run.shift)):
        sketch = sketch_of(window, counts, run.stream.window_records)
        for place, (name, monitor) in enumerate(monitors.items()):
            monitor.absorb(sketch)
            outcome = monitor.close(frozenset(), 1)
            found[name] += [(window, alert.series) for alert in outcome.alerts if alert.event == "opened"]
            if place == 0:
                for series in (one for report in outcome.reports for one in report.series):
                    for rule, drifted in _verdicts(series, references):
                        rules[rule].take(window, series.name, drifted)
    return found | {name: rule.opened for name, rule in rules.items()}


def _verdicts(series: SeriesReport, references: Mapping[str, int]) -> Iterator[tuple[str, bool]]:
    """Of the features' distributions; the rules know no other series."""
    if series.what != DISTRIBUTION or series.name == SCORE:
        return
    yield PSI, series.shown["psi"] > 0.2
    distance = series.shown.get("kolmogorov_smirnov")
    if distance is None:  # of categories Pearson's test, as libraries have it
        yield KS, series.shown["chi_squared_p"] < 0.05
    else:
        records, reference = series.records, references[series.name]
        yield KS, bool(special.kolmogorov(distance * np.sqrt(records * reference / (records + reference))) < 0.05)


def _references(profile: ReferenceProfile) -> dict[str, int]:
    return {series.name: sum(series.counts[series.regular]) for series in profile.series}
