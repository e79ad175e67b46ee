"""The state machine: sketches in, reports and alerts out.

One monitor sees all sketches of an input topic's models. Its outcome is a function of what the sketches add up to: the
same sketches, in any order that keeps each partition's, and asked as often as one likes, give the same reports and
alerts; and a monitor made of another's state goes on as that one would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from worker.drift.outcome import Alert, Outcome, Report
from worker.drift.profile import ReferenceProfile
from worker.drift.significance import Policy
from worker.drift.sketch import Sketch
from worker.drift.versions import Judge, Version
from worker.drift.windows import Window, WindowId, Windows

STATE_FORMAT: Final = 1
ABANDONED_WINDOWS: Final = 24
"""A version of which no window came for so many of its windows is forgotten, and its episodes end."""

VersionKey = tuple[str, str]


@dataclass(slots=True)
class _Model:
    windows: Windows = field(default_factory=Windows)
    versions: dict[VersionKey, Version] = field(default_factory=dict)


class DriftMonitor:
    """``profiles`` by digest. Windows of other profiles are reported, not judged."""

    def __init__(self, profiles: Mapping[str, ReferenceProfile], policy: Policy) -> None:
        self._policy = policy
        self._judges = {digest: Judge(profile, policy) for digest, profile in profiles.items()}
        self._models: dict[str, _Model] = {}

    def absorb(self, sketch: Sketch) -> None:
        """Sketches of an input partition have to come in the order of their offsets."""
        self._models.setdefault(sketch.model_name, _Model()).windows.absorb(sketch)

    def close(self, idle: frozenset[int], partitions: int) -> Outcome:
        """What the windows say that are over by now.

        ``partitions``: how many the input topic has; ``idle``: those of them of which all records are in the sketches
        that were absorbed, as far as there are any at a moment.
        """
        reports: list[Report] = []
        alerts: list[Alert] = []
        for name, model in sorted(self._models.items()):
            for key, window in model.windows.close(idle, partitions):
                alerts += self._forget(model, key.end_ms + window.lateness_ms - 1)
                report, told = self._judged(name, model, key, window)
                reports.append(report)
                alerts += told
            alerts += self._forget(model, model.windows.clock_ms)
        return Outcome(tuple(reports), tuple(alerts))

    def open_episodes(self) -> int:
        return sum(len(version.episodes) for model in self._models.values() for version in model.versions.values())

    def _judged(self, name: str, model: _Model, key: WindowId, window: Window) -> tuple[Report, list[Alert]]:
        which = key.model_version, key.profile_digest
        judge = self._judges.get(key.profile_digest)
        version = model.versions.get(which) or Version(name, judge, self._policy, key, window.lateness_ms)
        model.versions[which] = version
        version.last, version.lateness_ms = key, window.lateness_ms
        notes = ["closed before its time: too many windows were open"] if window.early else []
        why_not = self._why_not(judge, window)
        series, alerts = ([], []) if why_not else version.judged(key, window.counts)
        if why_not:
            notes.append(why_not)
        elif judge is not None and judge.assumes_independence:
            notes.append("independence of records is assumed: the profile has too few blocks of time")
        report = Report(
            model_name=name,
            model_version=key.model_version,
            profile_digest=key.profile_digest,
            window_start=key.start_ms,
            window_end=key.end_ms,
            records=window.records,
            late=window.late,
            over=window.over,
            judged=not why_not,
            note="; ".join(notes),
            series=tuple(series),
            estimated={} if why_not or judge is None else judge.estimator.estimated(window.counts),
        )
        return report, alerts

    def _why_not(self, judge: Judge | None, window: Window) -> str:
        if judge is None:
            return "not judged: the reference profile is not known"
        if len(window.counts) > judge.bins:
            return "not judged: counts of other bins than the profile's"
        if window.records < self._policy.min_records:
            return f"not judged: {window.records} records, fewer than {self._policy.min_records}"
        return ""

    def _forget(self, model: _Model, now_ms: int) -> list[Alert]:
        """Those versions whose next windows would be over by now, had any come."""
        alerts: list[Alert] = []
        for which, version in list(model.versions.items()):
            length_ms = version.last.end_ms - version.last.start_ms
            if now_ms >= version.last.end_ms + ABANDONED_WINDOWS * length_ms + version.lateness_ms:
                alerts += version.abandoned()
                del model.versions[which]
        return alerts

    def state(self) -> Any:
        """All that is remembered, as JSON can hold it."""
        models = {
            name: {
                "windows": model.windows.state(),
                "versions": [[*which, version.state()] for which, version in sorted(model.versions.items())],
            }
            for name, model in sorted(self._models.items())
        }
        return {"format": STATE_FORMAT, "models": models}

    @staticmethod
    def of_state(profiles: Mapping[str, ReferenceProfile], policy: Policy, state: Any) -> DriftMonitor:
        """Raises ValueError for a state of another format."""
        if state.get("format") != STATE_FORMAT:
            raise ValueError(f"a state of format {state.get('format')}, and this version reads {STATE_FORMAT}")
        monitor = DriftMonitor(profiles, policy)
        for name, known in state["models"].items():
            versions = {
                (version, digest): Version.of_state(one, name, monitor._judges.get(digest), policy)
                for version, digest, one in known["versions"]
            }
            monitor._models[name] = _Model(Windows.of_state(known["windows"]), versions)
        return monitor
