"""Reports and alerts of realised quality."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from worker.drift.outcome import Alert, Outcome
from worker.quality.monitor import Known, QualityMonitor, QualityPolicy
from worker.quality.reference import QualityReference
from worker.quality.scoring import Scoring
from worker.quality.sketch import Mark, QualitySketch
from worker.quality.tally import Tally

MINUTE = 60_000
KNOWN = Known(
    "m",
    Scoring("binary", ("0", "1"), "1"),
    {"1.0.0": QualityReference(1_000, 100, {"accuracy": 0.9, "error_rate": 0.1})},
)
POLICY = QualityPolicy(min_records=50)


def tally(wrong: int, labelled: int = 200, predictions: int = 250) -> Tally:
    return Tally(Counter({"predictions": predictions, "labelled": labelled, "wrong": wrong, "class 1 for 1": 1}))


def sketch(minute: int, one: Tally, variant: str = "primary", version: str = "1.0.0") -> QualitySketch:
    """A window's whole, and the time at which it is over."""
    done = (minute + 3) * MINUTE
    return QualitySketch("m", 60, 60, 60, (Mark(0, done, done),), {}, {(version, variant, minute * MINUTE): one})


def run(monitor: QualityMonitor, sketches: Iterator[QualitySketch] | list[QualitySketch]) -> Outcome:
    outcome = Outcome()
    for one in sketches:
        monitor.absorb(one)
        outcome += monitor.close(frozenset(), 1)
    return outcome


def story(alerts: tuple[Alert, ...]) -> list[tuple[str, str, str, int]]:
    return [(a.event, a.series, a.severity, a.window_start // MINUTE) for a in alerts]


def course(wrong: list[int]) -> list[QualitySketch]:
    return [sketch(minute, tally(count)) for minute, count in enumerate(wrong)]


def test_an_episode_opens_once_and_closes_once() -> None:
    """A model that is wrong for a while, however long, is alerted of when that is sure, and when it is over."""
    outcome = run(QualityMonitor(KNOWN, POLICY), course([20] * 20 + [160] * 20 + [20] * 20))
    (opened, closed) = outcome.alerts
    assert story(outcome.alerts)[0] == ("opened", "prediction.error", "critical", 21)
    assert closed.event == "closed"
    assert 40 < closed.window_start // MINUTE < 50
    assert (opened.what, opened.reference_counts, opened.window_counts) == ("concept", (100, 900), (160, 40))
    assert opened.episode == closed.episode == f"m/1.0.0/prediction.error/concept/{21 * MINUTE}"
    assert [report.drifted for report in outcome.quality].count(True) >= 19
    assert len(outcome.quality) == 60


def test_a_report() -> None:
    """It has the figures, those of the held-out rows, and how many labels came."""
    (report,) = run(QualityMonitor(KNOWN, POLICY), course([20])).quality
    assert (report.predictions, report.labelled, report.share_labelled, report.wrong) == (250, 200, 0.8, 20)
    assert report.figures["accuracy"] == 0.9
    assert report.reference == {"accuracy": 0.9, "error_rate": 0.1}
    assert 0.15 < report.error_tolerated < 0.2
    assert report.judged
    assert not report.drifted


def test_too_few_labels_say_nothing() -> None:
    """A window with fewer labels than min_records is reported, not judged, and neither opens nor ends anything."""
    sketches = [sketch(minute, tally(40, labelled=40)) for minute in range(30)]
    outcome = run(QualityMonitor(KNOWN, POLICY), sketches)
    assert outcome.alerts == ()
    assert {report.note for report in outcome.quality} == {"not judged: 40 predictions have a label, fewer than 50"}


def test_an_unknown_version_is_reported() -> None:
    """Without held-out quality there is nothing to hold it against."""
    (report,) = run(QualityMonitor(KNOWN, POLICY), [sketch(0, tally(150), version="0.9.0")]).quality
    assert (report.judged, report.figures["error_rate"], report.reference) == (False, 0.75, {})


def test_variants_are_apart() -> None:
    """A shadow model that is wrong has an episode of its own."""
    good, bad = (
        (sketch(minute, tally(20)) for minute in range(10)),
        (sketch(m, tally(160), "shadow") for m in range(10)),
    )
    both = [replace(one, tallies={**one.tallies, **other.tallies}) for one, other in zip(good, bad, strict=True)]
    outcome = run(QualityMonitor(KNOWN, POLICY), both)
    assert {alert.series for alert in outcome.alerts} == {"prediction.error.shadow"}


def test_a_version_that_ends_takes_its_episode_along() -> None:
    """When no window of it comes any more, its episode is closed."""
    monitor = QualityMonitor(KNOWN, POLICY)
    first = run(monitor, course([160] * 5))
    later = run(monitor, [sketch(minute, tally(10), version="2.0.0") for minute in range(5, 40)])
    assert [alert.event for alert in (*first.alerts, *later.alerts)] == ["opened", "closed"]
    assert monitor.open_episodes() == 0


def test_a_state_goes_on_as_its_maker() -> None:
    """A monitor that begins with another's state, after any window, says what that would have said."""
    sketches = course([20] * 3 + [160] * 4 + [20] * 12)
    expected = run(QualityMonitor(KNOWN, POLICY), sketches)
    for cut in range(len(sketches)):
        monitor = QualityMonitor(KNOWN, POLICY)
        first = run(monitor, sketches[:cut])
        state = json.loads(json.dumps(monitor.state()))
        second = run(QualityMonitor.of_state(KNOWN, POLICY, state), sketches[cut:])
        assert first + second == expected
