"""The campaign: workers are killed, paused and restarted while they work, and every single event is accounted for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.campaign import GRACE_SECONDS, Campaign, open_campaign, say
from tests.chaos.checker import Fault, Mode, Verdict
from tests.chaos.conftest import OpenCampaign
from tests.chaos.nemesis import WORKERS, Broker, Nemesis
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import read_all
from worker.broker.apache import ApacheKafka
from worker.errors import ExitCode

pytestmark = pytest.mark.chaos
SHORT = ["kill -9 at work", "kill -9 at once"] * 2 + ["zombie", "kill -9 of all", "rolling restart"]
SHORT_AT_LEAST_ONCE = ["kill -9 at work", "kill -9 at once"]
LONG_AT_LEAST_ONCE = (
    ["kill -9 at work"] * 15 + ["kill -9 at once"] * 5 + ["zombie", "kill -9 of all", "rolling restart"]
)
# Twenty kills, and of everything else some; a quarter is quiet.
LONG = (
    ["kill -9 at work"] * 15
    + ["kill -9 at once"] * 5
    + ["kill -9 of all"] * 3
    + ["pause of one"] * 6
    + ["rolling restart"] * 3
    + ["nothing"] * 12
)
PAUSES = ["pause of the broker", "kill -9 at work", "pause of the broker", "nothing"]


def test_exactly_once_survives_the_nemesis(campaign: OpenCampaign, chaos_long: bool) -> None:
    """200,000 events, three workers: every one is predicted or dead-lettered exactly once, in order, and none waits."""
    if chaos_long:
        pytest.skip("the long form does this and more")
    field = campaign(events=200_000, seed=11, max_batch_records=1_000)
    _put_through(field, SHORT, "exactly-once", seed=11)


@pytest.mark.timeout(900)
def test_at_least_once_loses_nothing(campaign: OpenCampaign, chaos_long: bool) -> None:
    """The same at least once: records may double, with the same id and score; none is lost or out of order."""
    events = 400_000 if chaos_long else 60_000
    field = campaign(events=events, seed=12, mode="at-least-once", max_batch_records=1_000)
    _put_through(field, LONG_AT_LEAST_ONCE if chaos_long else SHORT_AT_LEAST_ONCE, "at-least-once", seed=12)


@pytest.mark.timeout(1_800)
def test_the_long_campaign(campaign: OpenCampaign, kafka: KafkaUnderTest, chaos_long: bool) -> None:
    """Minutes of kills, zombies, rolling restarts and quiet, in a seeded order: nothing lost, doubled, torn or left."""
    if not chaos_long:
        pytest.skip("minutes: with --chaos-long")
    field = campaign(events=800_000, seed=13, max_batch_records=1_000)
    _put_through(field, LONG, "exactly-once", seed=13, shuffled=True)


@pytest.mark.timeout(600)
def test_a_broker_that_is_paused(bundle: Path, tmp_path: Path, chaos_long: bool) -> None:
    """Stopped for seconds with its connections left open, and awake again: the workers go on where they were."""
    if not chaos_long:
        pytest.skip("a broker of its own, and a minute: with --chaos-long")
    with (
        ApacheKafka() as kafka,
        open_campaign(kafka.bootstrap, tmp_path, bundle, events=100_000, seed=14, max_batch_records=1_000) as field,
    ):
        broker = Broker(kafka.pause, kafka.resume)
        _put_through(field, PAUSES, "exactly-once", seed=14, broker=broker)


def _put_through(
    field: Campaign, blows: list[str], mode: Mode, *, seed: int, shuffled: bool = False, broker: Broker | None = None
) -> Verdict:
    """As many portions of the stream as blows: each is struck while there is work to strike."""
    nemesis = Nemesis(field, seed, broker)
    if shuffled:
        blows = nemesis.random.sample(blows, len(blows))
    # A rolling restart takes nearly two, and any blow a quarter more where the fleet was quick: some must be left.
    portion = len(field.stream) // (len(blows) * 5 // 4 + blows.count("rolling restart") + 1)
    for _ in range(WORKERS):
        field.fleet.start()
    for blow in blows:
        nemesis.strike(blow, portion)
    field.producer.append(len(field.stream))
    field.await_drained()
    # One that was paused last may only now learn that it is fenced, and end for a restart.
    field.await_settled(meanwhile=nemesis.tend)
    field.await_that("all workers are ready", lambda: all(w.ready for w in field.fleet.running), 60)
    assert field.fleet.stop(GRACE_SECONDS) == [ExitCode.OK] * WORKERS
    verdict = field.verdict()
    _tell(field, nemesis, verdict, mode)
    assert field.producer.acknowledged == len(field.stream)
    verdict.assert_sound(mode)
    assert all(lag > 0 for lag in nemesis.lags), f"a blow struck an idle fleet: {nemesis.lags}"
    return verdict


def _tell(field: Campaign, nemesis: Nemesis, verdict: Verdict, mode: Mode) -> None:
    everything = read_all(field.bootstrap, f"{field.topic}.predictions", "read_uncommitted")
    aborted = len(everything) - verdict.predictions  # written by a worker that then died, or aborted
    say(f"\n{mode}, {time.monotonic() - field.began:.0f} s: {verdict.text()}")
    say(f"  doubled events               {verdict.count(Fault.DUPLICATE)}")
    say(f"  blows                        {', '.join(f'{n} x {blow}' for blow, n in nemesis.blows.items())}")
    say(f"  ends of workers, by status   {dict(sorted(nemesis.exits.items()))}")
    say(f"  batches aborted, read again  {field.fleet.count('batch aborted')}")
    say(f"  predictions never committed  {aborted}")
    say(f"  events waiting at the blows  {min(nemesis.lags)} to {max(nemesis.lags)}")
