"""Drift on a real Kafka: the same reports and alerts, byte for byte, whoever counted and whatever was killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.campaign import GRACE_SECONDS, say
from tests.chaos.drift_field import (
    KNOWN,
    WINDOW_SECONDS,
    DriftField,
    Readings,
    drift_field,
    expected_windows,
    pack_readings,
)
from tests.chaos.fleet import ChildProcess
from tests.support.brokers import KafkaUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.chaos
EVENTS, MINUTES, SHIFT = 40_000, 30, 20
LONG_EVENTS, LONG_MINUTES, LONG_SHIFT = 300_000, 60, 40
LONG_PARTITIONS, BUSY_PARTITIONS = 8, 7
LONG_BATCH_RECORDS = 20
LAST_STRIKE = 0.9
"""The share of the stream that is committed when the last one falls."""


@dataclass(slots=True)
class Crew:
    """The processes on a field; ``workers`` and ``monitors`` hold those that run, the oldest first."""

    ground: DriftField
    workers: list[ChildProcess] = field(default_factory=list)
    monitors: list[ChildProcess] = field(default_factory=list)
    kills: int = 0

    def begin(self, workers: int, monitors: int) -> None:
        self.monitors = [self.ground.monitor() for _ in range(monitors)]
        self.workers = [self.ground.fleet.start() for _ in range(workers)]

    def kill_worker(self) -> None:
        self.kills += 1
        self.workers.pop(0).kill()
        self.workers.append(self.ground.fleet.start())

    def kill_both(self) -> None:
        """A worker and a monitor."""
        self.kills += 1
        self.monitors.pop(0).kill()
        self.monitors.append(self.ground.monitor())
        self.kill_worker()

    def join_and_leave(self) -> None:
        """One more joins, and the oldest leaves in good order: two rebalances."""
        self.workers.append(self.ground.fleet.start())
        wait_until(lambda: self.workers[-1].ready, 60)
        leaving = self.workers.pop(0)
        leaving.send(signal.SIGTERM)
        assert leaving.await_exit(GRACE_SECONDS) == 0

    def stall(self) -> None:
        """One sleeps past its session, until others have its partitions."""
        sleeping, assignments = self.workers[0], self.ground.fleet.count(ASSIGNED)
        sleeping.send(signal.SIGSTOP)
        wait_until(lambda: self.ground.fleet.count(ASSIGNED) > assignments, 60)
        sleeping.send(signal.SIGCONT)


Strike = Callable[[Crew], None]
ASSIGNED = '"message": "assigned '


def run(
    bootstrap: str,
    folder: Path,
    readings: Readings,
    *,
    workers: int,
    monitors: int,
    strikes: Sequence[Strike] = (),
    partitions: int = BUSY_PARTITIONS,
    batch_records: int = LONG_BATCH_RECORDS,
) -> tuple[list[bytes], list[bytes]]:
    """Reports and alerts. ``strikes`` fall evenly over the stream, while there is work."""
    place = folder / f"{workers}-workers"
    place.mkdir()
    bundle = folder / "bundle"
    with drift_field(bootstrap, place, bundle, readings, partitions=partitions, batch_records=batch_records) as ground:
        crew = Crew(ground)
        crew.begin(workers, monitors)
        for i, strike in enumerate(strikes, 1):
            ground.await_committed(round(LAST_STRIKE * i / len(strikes) * len(readings)))
            strike(crew)
        ground.await_reports(len(expected_windows(readings)), 240)
        wait_until(lambda: all("ready: " in one.text() for one in ground.fleet.running), 60)
        assert ground.fleet.stop(GRACE_SECONDS) == [0] * (workers + monitors)
        say(f"{workers} workers, {monitors} monitors: {crew.kills} kills, {len(ground.published()[0])} reports")
        return ground.published()


def assert_told(published: tuple[list[bytes], list[bytes]], expected: dict[int, tuple[int, int]], shift: int) -> None:
    """Every window as an offline count has it; the shift, and nothing else, opened episodes, in the window it began in."""
    reports, alerts = ([KNOWN.read(value) for value in values] for values in published)
    assert {report["window_start"]: (report["records"], report["late"]) for report in reports} == expected
    assert {(alert["series"], alert["event"]) for alert in alerts} == {("x", "opened"), ("prediction.score", "opened")}
    assert {alert["window_start"] for alert in alerts} == {min(expected) + 1_000 * WINDOW_SECONDS * (shift + 1)}


def test_whoever_counted(kafka: KafkaUnderTest, tmp_path: Path) -> None:
    """One worker and one monitor publish the same as three workers and two monitors that are killed again and again.

    The means of the partitions are far apart, so that what each worker sees is another distribution than the reference.
    """
    pack_readings(tmp_path / "bundle")
    readings = Readings.of(EVENTS, 2, minutes=MINUTES, shift_from=SHIFT)
    put_through = partial(run, kafka.bootstrap, tmp_path, readings, partitions=3, batch_records=200)
    alone = put_through(workers=1, monitors=1)
    assert put_through(workers=3, monitors=2, strikes=[Crew.kill_both, Crew.kill_both]) == alone
    assert_told(alone, expected_windows(readings), SHIFT)


@pytest.mark.timeout(1_800)
def test_ten_kills(kafka: KafkaUnderTest, tmp_path: Path, chaos_long: bool) -> None:
    """300,000 events by one, three and seven workers, with kills, stalls past the session and rebalances: all the same.

    A partition without traffic holds nothing up, and three events from 2100 move no watermark.
    """
    if not chaos_long:
        pytest.skip("minutes: with --chaos-long")
    pack_readings(tmp_path / "bundle", partitions=BUSY_PARTITIONS)
    readings = Readings.of(
        LONG_EVENTS, 3, minutes=LONG_MINUTES, shift_from=LONG_SHIFT, partitions=BUSY_PARTITIONS, from_2100=3
    )
    put_through = partial(run, kafka.bootstrap, tmp_path, readings, partitions=LONG_PARTITIONS)
    alone = put_through(workers=1, monitors=1)
    blows: list[Strike] = [
        *(Crew.kill_worker, Crew.kill_both, Crew.join_and_leave, Crew.kill_worker, Crew.stall, Crew.kill_both),
        *(Crew.kill_worker, Crew.kill_worker, Crew.join_and_leave, Crew.kill_both, Crew.kill_worker, Crew.stall),
        *(Crew.kill_both, Crew.join_and_leave, Crew.kill_worker),
    ]
    for workers in (3, 7):
        assert put_through(workers=workers, monitors=2, strikes=blows) == alone
    assert_told(alone, expected_windows(readings), LONG_SHIFT)
