"""Sketches in, reports and alerts out: the same whoever counted, in what order they come, and whoever goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest

from tests.architecture.source import ROOT
from tests.support.drift import numeric
from tests.unit.drift.rig import LENGTH_MS, LENGTH_S, Partition, counted, sketch_of
from worker.drift.judged import judged
from worker.drift.monitor import ABANDONED_WINDOWS, DriftMonitor
from worker.drift.nulls import null_of
from worker.drift.outcome import Alert, Outcome, Report, SeriesReport
from worker.drift.profile import ReferenceProfile, Series
from worker.drift.significance import Policy
from worker.drift.sketch import Range, Sketch

NONE: frozenset[int] = frozenset()
RECORDS, PARTITIONS = 300, 3
SHARES = np.array([0.02, 0, 0, 0.28, 0.25, 0.25, 0.2, 0])
MOVED = np.array([0.02, 0, 0, 0.1, 0.1, 0.2, 0.3, 0.28])
POLICY = Policy(min_records=50)
WINDOWS, DRIFT = 50, range(15, 25)


def profile() -> ReferenceProfile:
    blocks = np.random.default_rng(1).multinomial(RECORDS, SHARES, 60)
    nulls = {
        what: null
        for what, counts in judged(numeric("amount", 0, 1, 2, 3, 4), blocks).items()
        if (null := null_of(counts))
    }
    series = Series("amount", "numeric", tuple(blocks.sum(axis=0).tolist()), (0.0, 1.0, 2.0, 3.0, 4.0), nulls=nulls)
    return ReferenceProfile((series,), LENGTH_S, 60 * RECORDS)


PROFILE = profile()
PROFILES = {"d1": PROFILE}


def story(seed: int, *, by_value: bool) -> list[list[Sketch]]:
    """The sketches of each partition, in batches of any size; in some windows the amounts have moved.

    The records are the same for every seed. ``by_value``: keys are skewed so that each partition has amounts of its own.
    """
    rng, values = np.random.default_rng(seed), np.random.default_rng(0)
    records: list[list[tuple[int, int]]] = [[] for _ in range(PARTITIONS)]
    for window in range(WINDOWS):
        places = values.choice(len(SHARES), RECORDS, p=MOVED if window in DRIFT else SHARES)
        seconds = window * LENGTH_S + np.sort(values.integers(0, LENGTH_S, RECORDS))
        chosen = values.integers(0, PARTITIONS, RECORDS)
        chosen = places % PARTITIONS if by_value else chosen
        for partition, second, place in zip(chosen.tolist(), seconds.tolist(), places.tolist(), strict=True):
            # Some come late, and a few too late.
            late = int(values.choice([0, 2, 40], p=[0.97, 0.02, 0.01]))
            records[partition].append((max(0, second - late), place))
    told = []
    for number, own in enumerate(records):
        cuts = np.sort(rng.choice(len(own), rng.integers(3, 80), replace=False)).tolist()
        partition = Partition(number)
        parts = [own[first:last] for first, last in zip([0, *cuts], [*cuts, len(own)], strict=True)]
        told.append([partition.sketch(part) for part in parts if part])
    return told


def run(told: Sequence[Sequence[Sketch]], seed: int, *, restarts: bool = False, asks: float = 0.5) -> Outcome:
    """All of it to a monitor, in some order among partitions; asked now and then, and at the end."""
    rng, waiting = np.random.default_rng(seed), [list(sketches) for sketches in told]
    monitor = DriftMonitor(PROFILES, POLICY)
    reports: list[Report] = []
    alerts: list[Alert] = []
    while any(waiting):
        turn = int(rng.choice([number for number, sketches in enumerate(waiting) if sketches]))
        monitor.absorb(waiting[turn].pop(0))
        if restarts:
            monitor = DriftMonitor.of_state(PROFILES, POLICY, json.loads(json.dumps(monitor.state())))
        if rng.random() < asks or not any(waiting):
            outcome = monitor.close(NONE if any(waiting) else frozenset(range(PARTITIONS)), PARTITIONS)
            reports += outcome.reports
            alerts += outcome.alerts
    return Outcome(tuple(reports), tuple(alerts))


@pytest.fixture(scope="module")
def expected() -> Outcome:
    return run(story(0, by_value=False), 0)


def test_a_drift_is_told_when_it_opens_and_when_it_is_over(expected: Outcome) -> None:
    """It opens in its first window, once, and closes after it; nothing else is told."""
    assert [(one.series, one.what, one.event) for one in expected.alerts if one.event != "updated"] == [
        ("amount", "distribution", "opened"),
        ("amount", "distribution", "closed"),
    ]
    opened, closed = expected.alerts[0], expected.alerts[-1]
    assert opened.window_start == DRIFT.start * LENGTH_MS
    assert opened.episode == closed.episode == f"fraud/1/amount/distribution/{opened.window_start}"
    assert opened.top_contributors[0] == "above 4"
    assert closed.window_start >= DRIFT.stop * LENGTH_MS
    assert [one.window_start for one in expected.reports] == [w * LENGTH_MS for w in range(WINDOWS - 1)]
    assert all(one.judged and not one.note for one in expected.reports)
    assert sum(one.late for one in expected.reports) > 0


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("restarts", [False, True])
def test_the_outcome_is_of_the_records_alone(expected: Outcome, seed: int, restarts: bool) -> None:
    """Other batches, another order, asked at other moments, another monitor after each sketch: the same reports and alerts."""
    assert run(story(seed, by_value=False), seed, restarts=restarts, asks=0.9 if seed % 2 else 0.05) == expected


def test_skewed_keys_are_no_drift(expected: Outcome) -> None:
    """Each partition alone is far from the reference; together they are the same records, and the same alerts."""
    skewed = run(story(7, by_value=True), 7)
    key = [(one.window_start, one.event, one.window_counts) for one in expected.alerts]
    assert [(one.window_start, one.event, one.window_counts) for one in skewed.alerts] == key


def window(start: int, records: int = RECORDS, shares: Any = SHARES, **more: Any) -> Sketch:
    """One window whole, and the watermark at its end; by default of partition 0."""
    bins = {place: round(records * share) for place, share in enumerate(shares) if round(records * share)}
    version = {"model_version": more.pop("version", "1"), "profile_digest": more.pop("digest", "d1")}
    offsets = Range(0, start * 1_000, start * 1_000 + 1, (start + 1) * LENGTH_MS)
    return sketch_of([offsets], [counted(0, start * LENGTH_MS, bins)], lateness_seconds=0, **version)


def told(monitor: DriftMonitor, *sketches: Sketch) -> Outcome:
    for sketch in sketches:
        monitor.absorb(sketch)
    return monitor.close(NONE, 1)


def test_few_records_are_reported_and_not_judged() -> None:
    """A window with three events says so, and neither opens an episode nor ends one."""
    monitor = DriftMonitor(PROFILES, POLICY)
    outcome = told(monitor, window(0, shares=MOVED), *(window(start, records=3) for start in range(1, 9)))
    assert [one.event for one in outcome.alerts] == ["opened"]
    few = outcome.reports[1]
    assert (few.judged, few.note, few.series) == (False, f"not judged: {few.records} records, fewer than 50", ())
    assert monitor.open_episodes() == 1


def test_an_unknown_profile_is_reported_and_not_judged() -> None:
    """Counts by bins that nobody here knows say how many records came, and no more."""
    (report,) = told(DriftMonitor(PROFILES, POLICY), window(0, digest="other")).reports
    assert (report.records, report.judged, report.profile_digest) == (RECORDS, False, "other")
    assert report.note == "not judged: the reference profile is not known"


def test_counts_of_other_bins_are_not_judged() -> None:
    """A sketch that names the profile and counts in places beyond its bins is reported as such."""
    (report,) = told(DriftMonitor(PROFILES, POLICY), window(0, shares=[*SHARES, 0.5])).reports
    assert report.note == "not judged: counts of other bins than the profile's"


def test_independence_is_said_to_be_assumed() -> None:
    """A profile without blocks judges by sample size alone, and every report says so."""
    untimed = replace(PROFILE, series=(replace(PROFILE.series[0], nulls=None),))
    (report,) = told(DriftMonitor({"d1": untimed}, POLICY), window(0)).reports
    assert report.judged
    assert report.note.startswith("independence of records is assumed")


def test_a_new_monitor_does_not_tell_again() -> None:
    """An episode that is open in the state is open; with the drift still there nothing is told."""
    monitor = DriftMonitor(PROFILES, POLICY)
    assert [one.event for one in told(monitor, window(0, shares=MOVED)).alerts] == ["opened"]
    again = DriftMonitor.of_state(PROFILES, POLICY, json.loads(json.dumps(monitor.state())))
    assert again.open_episodes() == 1
    assert told(again, window(0, shares=MOVED), window(1, shares=MOVED)).alerts == ()


def test_versions_are_judged_apart() -> None:
    """Each version has its own episodes; a new one begins without those of the old."""
    monitor = DriftMonitor(PROFILES, POLICY)
    outcome = told(monitor, window(0, shares=MOVED), window(1, version="2"), window(2, version="2", shares=MOVED))
    assert [(one.model_version, one.window_start) for one in outcome.alerts] == [("1", 0), ("2", 2 * LENGTH_MS)]
    assert [one.model_version for one in outcome.reports] == ["1", "2", "2"]


def test_an_abandoned_version_ends_its_episodes() -> None:
    """Of a version that nobody runs any more nothing stays open, whether one asks at every window or once."""
    sketches = [window(0, shares=MOVED), *(window(start, version="2") for start in range(1, 2 + ABANDONED_WINDOWS))]
    often, seldom = DriftMonitor(PROFILES, POLICY), DriftMonitor(PROFILES, POLICY)
    alerts = [alert for sketch in sketches for alert in told(often, sketch).alerts]
    assert [(one.event, one.model_version, one.window_records) for one in alerts] == [
        ("opened", "1", round(0.98 * RECORDS)),
        ("closed", "1", 0),
    ]
    assert told(seldom, *sketches).alerts == tuple(alerts)
    assert often.state() == seldom.state()
    assert often.open_episodes() == 0


def test_a_version_is_not_abandoned_too_soon() -> None:
    """A window as long after the last as an abandoned one's would be is of the same episode; one later is not."""
    for gap, events in ((ABANDONED_WINDOWS, ["opened"]), (ABANDONED_WINDOWS + 1, ["opened", "closed", "opened"])):
        outcome = told(DriftMonitor(PROFILES, POLICY), window(0, shares=MOVED), window(gap, shares=MOVED))
        assert [one.event for one in outcome.alerts] == events


def test_time_alone_abandons_a_version() -> None:
    """Records that are all refused move time on, and what nobody counts into any more is over."""
    monitor = DriftMonitor(PROFILES, POLICY)
    told(monitor, window(0, shares=MOVED))
    refused = sketch_of([Range(0, 1, 2, (1 + ABANDONED_WINDOWS) * LENGTH_MS)])
    outcome = told(monitor, refused)
    assert [one.event for one in outcome.alerts] == ["closed"]
    assert (outcome.reports, monitor.open_episodes()) == ((), 0)


def test_an_old_versions_episode_waits_for_its_profile() -> None:
    """A monitor that does not know the profile keeps the episode, and one that does goes on with it."""
    monitor = DriftMonitor(PROFILES, POLICY)
    told(monitor, window(0, shares=MOVED))
    without = DriftMonitor.of_state({}, POLICY, json.loads(json.dumps(monitor.state())))
    assert told(without, window(1)).alerts == ()
    knowing = DriftMonitor.of_state(PROFILES, POLICY, json.loads(json.dumps(without.state())))
    assert knowing.open_episodes() == 1
    closing = told(knowing, *(window(start) for start in range(2, 20)))
    assert [one.event for one in closing.alerts] == ["closed"]


def test_a_state_of_another_format_is_refused() -> None:
    """It is not guessed at."""
    with pytest.raises(ValueError, match="format 0"):
        DriftMonitor.of_state(PROFILES, POLICY, {"format": 0})


@pytest.mark.parametrize(("name", "value"), [("report", Report), ("alert", Alert)])
def test_values_are_those_of_the_schemas(name: str, value: Any) -> None:
    """The fields of reports and alerts are the schemas', in their order."""
    schema = json.loads((ROOT / f"schemas/drift_{name}.avsc").read_text("utf-8"))
    assert [field["name"] for field in schema["fields"]] == [field.name for field in fields(value)]
    if name == "report":
        series = next(field["type"]["items"] for field in schema["fields"] if field["name"] == "series")
        assert [field["name"] for field in series["fields"]] == [field.name for field in fields(SeriesReport)]


def test_all_figures_are_finite_json(expected: Outcome) -> None:
    """Reports and alerts hold plain numbers and texts, none of them infinite or not a number."""
    values: list[Report | Alert] = [*expected.reports, *expected.alerts]
    for value in values:
        assert json.dumps(asdict(value), allow_nan=False)
