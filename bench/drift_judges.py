"""The monitor and customary rules on the same windows: when each opens an episode, and of which feature.

A rule is a limit of one statistic of a feature in a window. Two limits are those in use; two more are *oracles*: what the
same kind of stream without drift exceeded once in 1,000 windows, over all features. Nobody has such a stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import special

from bench.drift_streams import DIGEST, Stream, counted, profile_of, sketch_of
from worker.drift.episodes import Episode, advance
from worker.drift.judged import DISTRIBUTION
from worker.drift.monitor import DriftMonitor
from worker.drift.outcome import SeriesReport
from worker.drift.profile import SCORE
from worker.drift.significance import Policy

QUIET_WINDOWS = Policy().quiet_windows
Measure = Literal["psi", "p", "ks"]
"""Population stability index; 1 - p of the test in use (Kolmogorov-Smirnov, of categories Pearson's); KS distance."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    measure: Measure
    limit: float


CUSTOMARY = (Rule("PSI > 0.2", "psi", 0.2), Rule("KS p < 0.05", "p", 0.95))
ORACLES: Mapping[Measure, str] = {"psi": "PSI, oracle", "ks": "KS distance, oracle"}


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
class Judged:
    """``opened``: episodes by judge. ``highest``: of each window the highest value over all features, by measure."""

    opened: dict[str, Opened] = field(default_factory=dict)
    highest: dict[Measure, list[float]] = field(default_factory=dict)


@dataclass(slots=True)
class Applied:
    """A rule with the monitor's closing of episodes: a run of alarms is one."""

    rule: Rule
    opened: Opened = field(default_factory=list)
    episodes: dict[str, Episode] = field(default_factory=dict)

    def take(self, window: int, name: str, value: float) -> None:
        score = 2.0 * (value > self.rule.limit)
        after, event = advance(self.episodes.pop(name, None), score, 0.0, start_ms=window, quiet_windows=QUIET_WINDOWS)
        if after is not None:
            self.episodes[name] = after
        if event == "opened":
            self.opened.append((window, name))


def judge(run: Run, rates: Mapping[str, float], rules: Sequence[Rule] = CUSTOMARY) -> Judged:
    """By the monitor at each of the ``rates``, by its name, and by the rules."""
    profile = profile_of(run.stream, run.blocks)
    monitors = {name: DriftMonitor({DIGEST: profile}, Policy(rate=rate)) for name, rate in rates.items()}
    found = Judged({name: [] for name in monitors})
    applied = [Applied(rule) for rule in rules]
    references = {series.name: sum(series.counts[series.regular]) for series in profile.series}
    for window, counts in enumerate(counted(run.stream, profile, run.windows, run.shift_from, run.shift)):
        sketch = sketch_of(window, counts, run.stream.window_records)
        outcomes = []
        for name, monitor in monitors.items():
            monitor.absorb(sketch)
            outcomes.append(monitor.close(frozenset(), 1))
            found.opened[name] += [(window, one.series) for one in outcomes[-1].alerts if one.event == "opened"]
        series = [one for report in outcomes[0].reports for one in report.series]
        _apply(window, series, references, applied, found)
    found.opened |= {one.rule.name: one.opened for one in applied}
    return found


def _apply(
    window: int,
    series: Sequence[SeriesReport],
    references: Mapping[str, int],
    applied: Sequence[Applied],
    found: Judged,
) -> None:
    """To the features' distributions; the rules know no other series."""
    known = {
        one.name: _measures(one, references[one.name])
        for one in series
        if one.what == DISTRIBUTION and one.name != SCORE
    }
    for rule in applied:
        for name, values in known.items():
            if rule.rule.measure in values:
                rule.take(window, name, values[rule.rule.measure])
    for measure in ORACLES:
        highest = max((values[measure] for values in known.values() if measure in values), default=0.0)
        found.highest.setdefault(measure, []).append(highest)


def _measures(series: SeriesReport, reference: int) -> dict[Measure, float]:
    psi, distance = series.shown["psi"], series.shown.get("kolmogorov_smirnov")
    if distance is None:  # of categories Pearson's test, as libraries have it
        return {"psi": psi, "p": 1 - series.shown["chi_squared_p"]}
    scaled = distance * np.sqrt(series.records * reference / (series.records + reference))
    return {"psi": psi, "p": 1 - float(special.kolmogorov(scaled)), "ks": distance}


def oracles(highest: Mapping[Measure, Sequence[float]]) -> list[Rule]:
    """The limits that windows without drift exceed once in 1,000."""
    rules = []
    for measure, name in ORACLES.items():
        values = sorted(highest[measure], reverse=True)
        rules.append(Rule(name, measure, values[min(len(values) - 1, len(values) // 1_000)]))
    return rules
