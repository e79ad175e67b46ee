"""Many short-lived workers at the price of one start: what they import is imported once, then each is forked from here.

``python -m tests.chaos.relay PLAN``. Legs run at the same time, the runners of a leg one after the other, each in a process
of its own. Prints the exit status of every runner, by leg (negative: the signal that ended it).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.chaos.fleet import ChildProcess
from tests.chaos.worker_main import main as worker_main
from worker.cli import guarded
from worker.supervisor.child import die_with_parent


@dataclass(frozen=True, slots=True)
class Leg:
    """Workers that follow one another: the arguments of each, for ``worker_main``."""

    name: str
    config: Path
    runners: tuple[tuple[str, ...], ...]

    def log(self) -> Path:
        return self.config.with_name("leg.log")


def run_legs(folder: Path, legs: Sequence[Leg], timeout_seconds: float) -> dict[str, list[int]]:
    """Exit statuses of each leg's runners. Fails when they take longer; ends whatever it started."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps([(leg.name, str(leg.config), leg.runners) for leg in legs]), "utf-8")
    relay = ChildProcess(folder / "relay.log", ("tests.chaos.relay",), (str(plan),))
    try:
        assert relay.await_exit(timeout_seconds) == 0, relay.text()
    finally:
        relay.kill()
    statuses: dict[str, list[int]] = json.loads(relay.text().splitlines()[-1])
    return statuses


def main() -> None:
    _import_the_model()
    legs = [
        Leg(name, Path(config), tuple(map(tuple, runners)))
        for name, config, runners in json.loads(Path(sys.argv[1]).read_text("utf-8"))
    ]
    sys.stdout.write(json.dumps(_relay(legs)) + "\n")


def _relay(legs: Iterable[Leg]) -> Mapping[str, list[int]]:
    statuses: dict[str, list[int]] = {}
    running: dict[int, Leg] = {}
    for leg in legs:
        statuses[leg.name] = []
        running[_fork(leg, 0)] = leg
    while running:
        pid, status = os.wait()
        leg = running.pop(pid)
        ended = statuses[leg.name]
        ended.append(os.waitstatus_to_exitcode(status))
        if len(ended) < len(leg.runners):
            running[_fork(leg, len(ended))] = leg
    return statuses


def _fork(leg: Leg, runner: int) -> int:
    relay = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_worker(leg, runner, relay)
    return pid


def _become_worker(leg: Leg, runner: int, relay: int) -> NoReturn:
    code = 1
    try:
        die_with_parent(relay)
        log = os.open(leg.log(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        sys.argv = ["worker_main", "--config", str(leg.config), *leg.runners[runner]]
        code = guarded(worker_main)
    except Exception:  # noqa: BLE001 - told in the log, where the interpreter's own end would have told it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # not the relay's own clean-up


def _import_the_model() -> None:
    """What unpickling the campaign's model would import in every worker."""
    import sklearn.linear_model  # noqa: PLC0415 - before any fork, and nowhere else
    import sklearn.pipeline  # noqa: PLC0415
    import sklearn.preprocessing  # noqa: F401, PLC0415


if __name__ == "__main__":
    main()
