"""What is done to a fleet while it works: seeded, so that a run can be had again; each blow waits for work to strike.

A quarter of the blows is nothing at all: what only heals by the next disturbance must not pass.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.chaos.campaign import GRACE_SECONDS, Campaign, say
from tests.chaos.fleet import ChildProcess
from worker.errors import ExitCode

# How a worker may end that nobody told to: each asks for a restart, which is what a supervisor would do.
_RESTART = {int(ExitCode.TRANSPORT), int(ExitCode.FENCED), int(ExitCode.STUCK)}
_BROKER_PAUSE_SECONDS = 3.0
WORKERS = 3


@dataclass(frozen=True, slots=True)
class Broker:
    """How the broker is paused, where it is ours to pause."""

    pause: Callable[[], None]
    resume: Callable[[], None]


@dataclass(slots=True)
class Nemesis:
    """Strikes the workers of one campaign, and brings back those that have ended."""

    campaign: Campaign
    seed: int
    broker: Broker | None = None
    random: random.Random = field(init=False)
    blows: Counter[str] = field(default_factory=Counter)
    lags: list[int] = field(default_factory=list)
    exits: Counter[int] = field(default_factory=Counter)
    _expected: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def strike(self, blow: str, portion: int) -> None:
        """One blow by name, at a fleet that has just begun with a portion of work; the fallen are replaced afterwards."""
        if blow not in AT_ONCE:
            self.campaign.await_settled()
        self._begin(blow, portion)
        self.blows[blow] += 1
        BLOWS[blow](self, portion)
        self.tend()

    def _begin(self, blow: str, portion: int) -> None:
        before = self.campaign.offsets.total()
        self.campaign.producer.append(portion)
        self.campaign.await_progress(before)
        time.sleep(self.random.uniform(0.0, 0.3))
        producer = self.campaign.producer
        # They may be quicker: then strike at the very beginning of more.
        while not (lag := self.campaign.lag()) and producer.produced < len(self.campaign.stream):
            producer.append(portion // 4)
        self.lags.append(lag)
        say(f"{time.monotonic() - self.campaign.began:6.1f} s  {blow}, {self.lags[-1]} events waiting")

    def kill_busy(self, _: int) -> None:
        """One that is in the midst of work."""
        self._kill(self.random.choice(self.campaign.busy() or self.campaign.fleet.running))

    def kill_any(self, _: int) -> None:
        """Whoever it is, and whatever the group is doing: a start, a rebalance."""
        self._kill(self._victim())

    def kill_all(self, _: int) -> None:
        for worker in self.campaign.fleet.running:
            self._kill(worker)

    def pause_one(self, _: int) -> None:
        """Long enough, at times, for the group to give its partitions to others: it wakes as a zombie."""
        victim = self._victim()
        victim.send(signal.SIGSTOP)
        time.sleep(self.random.choice((0.5, 3.0, 8.0, 14.0)))
        victim.send(signal.SIGCONT)

    def zombie(self, _: int) -> None:
        victim = self._victim()
        victim.send(signal.SIGSTOP)
        time.sleep(8.0)
        victim.send(signal.SIGCONT)

    def rolling_restart(self, portion: int) -> None:
        """One after the other is stopped in order, in the midst of work, and replaced once its successor is ready."""
        *_, last = self.campaign.fleet.running
        for worker in self.campaign.fleet.running:
            self._expected.add(worker.name)
            worker.send(signal.SIGTERM)
            status = worker.await_exit(GRACE_SECONDS)
            assert status == ExitCode.OK, f"{worker.name} ended with {status}\n{worker.last_words()}"
            self.exits[status] += 1
            successor = self.campaign.fleet.start()
            self.campaign.await_that(f"{successor.name} is ready", partial(getattr, successor, "ready"), 60)
            if worker is not last:
                self._begin("next of it", portion // WORKERS)

    def pause_broker(self, _: int) -> None:
        if self.broker is None:
            return
        self.broker.pause()
        time.sleep(_BROKER_PAUSE_SECONDS)
        self.broker.resume()

    def nothing(self, _: int) -> None:
        """Quiet, until everything is done: what hangs now hangs for good."""
        self.campaign.await_drained()

    def tend(self) -> None:
        """Restart what has ended. A worker that ended otherwise than by a blow, or for a restart, is a bug."""
        for worker in self.campaign.fleet.workers:
            status = worker.exit_status
            if status is None or worker.name in self._expected:
                continue
            assert status in _RESTART, f"{worker.name} ended with {status}\n{worker.last_words()}"
            say(f"          {worker.name} ended with {status}: {worker.last_words().splitlines()[-1]}")
            self.exits[status] += 1
            self._expected.add(worker.name)
        while len(self.campaign.fleet.running) < WORKERS:
            self.campaign.fleet.start()

    def _victim(self) -> ChildProcess:
        return self.random.choice(self.campaign.fleet.running)

    def _kill(self, worker: ChildProcess) -> None:
        self._expected.add(worker.name)
        worker.kill()
        self.exits[-signal.SIGKILL] += 1


BLOWS: dict[str, Callable[[Nemesis, int], None]] = {
    "kill -9 at work": Nemesis.kill_busy,
    "kill -9 at once": Nemesis.kill_any,
    "kill -9 of all": Nemesis.kill_all,
    "pause of one": Nemesis.pause_one,
    "zombie": Nemesis.zombie,
    "rolling restart": Nemesis.rolling_restart,
    "pause of the broker": Nemesis.pause_broker,
    "nothing": Nemesis.nothing,
}
# These do not wait for the group to settle after the blow before.
AT_ONCE = {"kill -9 at once"}
