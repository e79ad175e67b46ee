"""The state machine: quality sketches in, reports and alerts of realised quality out.

Like that of drift it is a function of what the sketches add up to, and one made of another's state goes on as that would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from worker.drift.episodes import Episode, advance
from worker.drift.monitor import ABANDONED_WINDOWS
from worker.drift.outcome import Alert, EpisodeEvent, Outcome, QualityReport
from worker.quality.detector import NONE, ErrorDetector, Evidence
from worker.quality.reference import QualityReference
from worker.quality.scoring import Scoring
from worker.quality.sketch import QualitySketch
from worker.quality.tally import BEYOND, CONTRADICTING, DOUBLED, LABELLED, PREDICTIONS, WRONG, Tally, figures
from worker.quality.windows import Closed, QualityWindowId, QualityWindows

SERIES: Final = "prediction.error"
CONCEPT: Final = "concept"
STATISTIC: Final = "log_e_detector"
PRIMARY: Final = "primary"


def series_of(variant: str) -> str:
    """What the alerts call the errors of a variant."""
    return SERIES if variant == PRIMARY else f"{SERIES}.{variant}"


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """``rate``: false alarms in 1,000 windows of a version and variant. ``rise`` of the error rate is tolerated.

    ``min_records``: a window with fewer labelled predictions is reported, not judged.
    """

    rate: float = 1.0
    min_records: int = 100
    rise: float = 0.05
    quiet_windows: int = 3

    @property
    def level(self) -> float:
        return min(0.5, self.rate / 1_000)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model: how it is scored, and by version its quality on held-out rows, where a bundle has it."""

    model: str
    scoring: Scoring
    references: Mapping[str, QualityReference]


@dataclass(slots=True)
class _Course:
    """Of one version and variant; ``last``: the window that closed last."""

    last: QualityWindowId
    evidence: Evidence = NONE
    episode: Episode | None = None


class QualityMonitor:
    def __init__(self, known: Known, policy: QualityPolicy) -> None:
        self._known, self._policy = known, policy
        self._windows = QualityWindows()
        self._courses: dict[tuple[str, str], _Course] = {}
        self._detectors = {
            version: ErrorDetector.of(one.wrong, one.records, rise=policy.rise, level=policy.level)
            for version, one in known.references.items()
        }

    def absorb(self, sketch: QualitySketch) -> None:
        """Sketches of an input partition have to come in the order in which they were committed."""
        self._windows.absorb(sketch)

    def close(self, idle: frozenset[int], partitions: int) -> Outcome:
        """What the windows say that are over by now; see ``QualityWindows.close``."""
        outcome = Outcome()
        for key, closed in self._windows.close(idle, partitions):
            outcome += self._forget(key.end_ms)
            outcome += self._judged(key, closed)
        return outcome

    def open_episodes(self) -> int:
        return sum(course.episode is not None for course in self._courses.values())

    def _judged(self, key: QualityWindowId, closed: Closed) -> Outcome:
        which, tally = (key.model_version, key.variant), closed.tally
        course = self._courses.setdefault(which, _Course(key))
        course.last = key
        detector = self._detectors.get(key.model_version)
        reference = self._known.references.get(key.model_version)
        note, score = self._why_not(tally, reference), 0.0
        alerts: tuple[Alert, ...] = ()
        if detector is not None and reference is not None and not note:
            course.evidence = detector.advance(course.evidence, tally[WRONG], tally[LABELLED])
            score = detector.statistic(course.evidence) / detector.threshold
            alerts = self._advanced(key, course, tally, reference, detector)
        report = QualityReport(
            model_name=self._known.model,
            model_version=key.model_version,
            variant=key.variant,
            window_start=key.start_ms,
            window_end=key.end_ms,
            predictions=tally[PREDICTIONS],
            labelled=tally[LABELLED],
            share_labelled=tally[LABELLED] / tally[PREDICTIONS] if tally[PREDICTIONS] else 0.0,
            doubled=tally[DOUBLED],
            contradicting=tally[CONTRADICTING],
            unmatched=closed.unmatched,
            late=closed.late,
            wrong=tally[WRONG],
            beyond_limit=tally[BEYOND],
            judged=not note,
            note=note,
            figures=figures(tally, self._known.scoring),
            reference=dict(reference.figures) if reference is not None else {},
            error_tolerated=detector.tolerated if detector is not None else 1.0,
            score=score,
            drifted=score > 1,
            counts=dict(sorted(tally.counts.items())),
        )
        return Outcome(alerts=alerts, quality=(report,))

    def _why_not(self, tally: Tally, reference: QualityReference | None) -> str:
        if reference is None:
            return "not judged: the quality of this version on held-out rows is not known"
        least = self._policy.min_records
        if tally[LABELLED] < least:
            return f"not judged: {tally[LABELLED]} predictions have a label, fewer than {least}"
        return ""

    def _advanced(
        self,
        key: QualityWindowId,
        course: _Course,
        tally: Tally,
        reference: QualityReference,
        detector: ErrorDetector,
    ) -> tuple[Alert, ...]:
        statistic = detector.statistic(course.evidence)
        effect = max(0.0, tally[WRONG] / tally[LABELLED] - reference.error_rate)
        score, before = statistic / detector.threshold, course.episode
        course.episode, event = advance(
            before, score, effect, start_ms=key.start_ms, quiet_windows=self._policy.quiet_windows
        )
        episode = course.episode or before
        if event is None or episode is None:
            return ()
        wrong, right = tally[WRONG], tally[LABELLED] - tally[WRONG]
        return (
            self._alert(
                key,
                episode,
                event,
                statistic=statistic,
                threshold=detector.threshold,
                effect=effect,
                reference=(reference.wrong, reference.records - reference.wrong),
                window=(wrong, right),
            ),
        )

    def _forget(self, now_ms: int) -> Outcome:
        """Versions and variants of which no window came any more; their episodes end, with figures of zero."""
        alerts: list[Alert] = []
        for which, course in sorted(self._courses.items()):
            last = course.last
            if now_ms > last.end_ms + ABANDONED_WINDOWS * (last.end_ms - last.start_ms):
                del self._courses[which]
                if course.episode is not None:
                    alerts.append(self._alert(last, course.episode, "closed"))
        return Outcome(alerts=tuple(alerts))

    def _alert(
        self,
        key: QualityWindowId,
        episode: Episode,
        event: EpisodeEvent,
        *,
        statistic: float = 0.0,
        threshold: float = 0.0,
        effect: float = 0.0,
        reference: tuple[int, ...] = (),
        window: tuple[int, ...] = (),
    ) -> Alert:
        version = key.model_version
        series = series_of(key.variant)
        return Alert(
            episode=f"{self._known.model}/{version}/{series}/{CONCEPT}/{episode.since_ms}",
            event=event,
            model_name=self._known.model,
            model_version=version,
            series=series,
            what=CONCEPT,
            severity=episode.severity,
            window_start=key.start_ms,
            window_end=key.end_ms,
            statistic_name=STATISTIC,
            statistic=statistic,
            span=1,
            null_quantile=threshold,
            threshold=threshold,
            effect=effect,
            reference_records=sum(reference),
            window_records=sum(window),
            bins=("wrong", "right") if window else (),
            reference_counts=reference,
            window_counts=window,
            top_contributors=("wrong",) if window else (),
        )

    def state(self) -> Any:
        """All that is remembered, as JSON can hold it."""
        courses = [
            [*which, asdict(one.last), list(one.evidence), None if one.episode is None else asdict(one.episode)]
            for which, one in sorted(self._courses.items())
        ]
        return {"windows": self._windows.state(), "courses": courses}

    @staticmethod
    def of_state(known: Known, policy: QualityPolicy, state: Any) -> QualityMonitor:
        """Raises ValueError, KeyError or TypeError for what is no state."""
        monitor = QualityMonitor(known, policy)
        monitor._windows = QualityWindows.of_state(state["windows"])
        for version, variant, last, evidence, episode in state["courses"]:
            monitor._courses[version, variant] = _Course(
                QualityWindowId(**last), tuple(evidence), None if episode is None else Episode(**episode)
            )
        return monitor
