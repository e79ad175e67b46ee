"""``run --processes N``: real processes and signals. The children are scripted over a socket, so nothing waits for time."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

PATIENCE_SECONDS = 30.0

CHILD = """
    import os, signal, socket, sys, time
    from prometheus_client import CollectorRegistry
    from worker.ports import BatchReport
    from worker.records import Refusals, TopicPartition
    from worker.supervisor import join_supervisor
    from worker.telemetry.metrics import Build, MetricsObserver

    child = join_supervisor(os.environ)
    observer = MetricsObserver(CollectorRegistry(), Build("0", "m", "1", "test"), unix_time=time.time)
    control = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    lines = control.makefile("rw")

    def say(text):
        lines.write(text + "\\n")
        lines.flush()

    def finish(*_):
        control.sendall(b"term\\n")
        os._exit(0)

    def stay(*_):
        control.sendall(b"term\\n")

    def deliver(records, *lag):
        positions = {TopicPartition("t", int(p)): int(n) for p, n in (pair.split("=") for pair in lag)}
        observer.delivered(BatchReport(int(records), int(records), 0, Refusals.none(), 0, -1, 0, 0, 0, 0, 0, 0, positions))
        observer.lagging(positions)

    signal.signal(signal.SIGTERM, finish)
    say(f"hello {child.slot} {os.getpid()}")
    for line in lines:
        verb, *arguments = line.split()
        if verb == "exit":
            os._exit(int(arguments[0]))
        elif verb == "started":
            observer.started()
        elif verb == "deliver":
            deliver(*arguments)
        elif verb == "unassigned":
            observer.assignment(0)
        elif verb == "stubborn":
            signal.signal(signal.SIGTERM, stay)
        say("done")
"""

SUPERVISOR = """
    import json, logging, sys
    from worker.errors import WorkerError
    from worker.supervisor import supervise
    from worker.telemetry.logs import configure_logging

    configure_logging(log_format="json", level="info", stream=sys.stdout)
    command, options = json.loads(sys.argv[1])
    try:
        sys.exit(supervise([command] * options.pop("processes"), host="127.0.0.1", **options))
    except WorkerError as error:
        print(json.dumps({"message": error.message}), flush=True)
        sys.exit(error.exit_code)
"""


@dataclass
class ChildHandle:
    """One running child; every command returns when the child has carried it out."""

    slot: int
    pid: int
    lines: IO[str]

    def tell(self, command: str) -> None:
        self.send(command)
        assert self.lines.readline() == "done\n"

    def send(self, command: str) -> None:
        self.lines.write(command + "\n")
        self.lines.flush()

    def metrics_folder(self) -> Path:
        variables = Path(f"/proc/{self.pid}/environ").read_bytes().decode().split("\0")
        return Path(dict(variable.split("=", 1) for variable in variables if variable)["PROMETHEUS_MULTIPROC_DIR"])

    def heard(self) -> str:
        """The next line of it; empty when it has ended."""
        try:
            return self.lines.readline().strip()
        except ConnectionResetError:
            return ""


class Stage:
    """A supervisor in a process of its own, with the children's control socket."""

    def __init__(self, folder: Path, *, processes: int = 2, grace_seconds: float = 20.0, **options: Any) -> None:
        (folder / "child.py").write_text(textwrap.dedent(CHILD))
        self._control = socket.create_server(("127.0.0.1", 0))
        self._control.settimeout(PATIENCE_SECONDS)
        child = [sys.executable, str(folder / "child.py"), str(self._control.getsockname()[1])]
        command = options.pop("command", child)
        settings = {"processes": processes, "grace_seconds": grace_seconds, "port": 0, **options}
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SUPERVISOR), json.dumps([command, settings])],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
        self.first_line = self.log_line()
        self.port = int(self.first_line["message"].rpartition(":")[2]) if "//" in self.first_line["message"] else 0

    def child(self) -> ChildHandle:
        """The next child that starts."""
        connection, _ = self._control.accept()
        connection.settimeout(PATIENCE_SECONDS)
        lines = connection.makefile("rw")
        connection.close()  # the file keeps it open
        _, slot, pid = lines.readline().split()
        return ChildHandle(int(slot), int(pid), lines)

    def children(self, count: int) -> list[ChildHandle]:
        return sorted((self.child() for _ in range(count)), key=lambda child: child.slot)

    def get(self, path: str) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def metrics(self) -> dict[str, float]:
        lines = [line.rsplit(" ", 1) for line in self.get("/metrics")[1].splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End it as a second signal does, so that it clears up after itself."""
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGINT)
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._control.close()

    def log_line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line


StageMaker = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[StageMaker]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> Stage:
            made = Stage(tmp_path, **options)
            stack.callback(made.close)
            return made

        yield make


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "never came true"


def test_one_port_serves_the_sum(stage: StageMaker) -> None:
    """Counters, histograms and process figures of all processes are added up."""
    running = stage()
    first, second = running.children(2)
    first.tell("deliver 5")
    second.tell("deliver 7")
    second.tell("deliver 7")
    metrics = running.metrics()
    assert metrics["worker_records_consumed_total"] == 19
    assert metrics['model_predictions_total{model="m",version="1"}'] == 19
    assert metrics["worker_batch_records_count"] == 3
    assert metrics["supervisor_processes"] == 2
    assert metrics["process_resident_memory_bytes"] > 3 * 5_000_000


def test_lag_follows_its_partition(stage: StageMaker) -> None:
    """A partition that moves between processes shows its new owner's lag, one that nobody here has shows none."""
    running = stage()
    first, second = running.children(2)
    first.tell("deliver 1 0=100 1=200")
    second.tell("deliver 1 0=7")
    first.tell("unassigned")
    metrics = running.metrics()
    assert {name: value for name, value in metrics.items() if "lag" in name} == {
        'consumer_lag_records{partition="0",topic="t"}': 7
    }


def test_ready_when_all_are(stage: StageMaker) -> None:
    """One process that is not ready keeps the whole from being ready; it is alive all the same."""
    running = stage()
    first, second = running.children(2)
    first.tell("started")
    assert running.get("/readyz") == (503, "1 of 2 processes are ready\n")
    assert running.get("/healthz") == (200, "ok\n")
    second.tell("started")
    assert running.get("/readyz") == (200, "ok\n")
    assert running.metrics()["worker_ready"] == 2


def test_unhealthy_when_one_hangs(stage: StageMaker) -> None:
    """A single process whose loop stands still makes the whole unhealthy, and is named."""
    running = stage(bound_seconds=0.05)
    first, second = running.children(2)
    second.tell("started")
    until(lambda: running.get("/healthz")[0] == 503)
    assert f"process {second.pid}" in running.get("/healthz")[1]
    assert f"process {first.pid}" not in running.get("/healthz")[1]


def test_a_killed_process_is_replaced(stage: StageMaker) -> None:
    """After kill -9 a new process takes the slot, the counts go on, and only readiness notices."""
    running = stage()
    first, second = running.children(2)
    for child in (first, second):
        child.tell("started")
        child.tell("deliver 5 0=3")
    os.kill(first.pid, signal.SIGKILL)
    replacement = running.child()
    assert (replacement.slot, replacement.pid != first.pid) == (first.slot, True)
    assert running.get("/readyz")[0] == 503
    replacement.tell("started")
    replacement.tell("deliver 1")
    assert running.get("/readyz")[0] == 200
    metrics = running.metrics()
    assert metrics["worker_records_consumed_total"] == 11
    assert metrics["supervisor_restarts_total"] == 1
    second.tell("deliver 0")  # it was left alone


def test_a_dead_process_has_no_lag(stage: StageMaker) -> None:
    """The lag that a killed process saw last is not shown any more."""
    running = stage()
    first, _ = running.children(2)
    first.tell("deliver 1 3=50")
    os.kill(first.pid, signal.SIGKILL)
    running.child()
    assert 'consumer_lag_records{partition="3",topic="t"}' not in running.metrics()


@pytest.mark.parametrize("code", [2, 3, 4, 7])
def test_no_restart_where_it_is_pointless(stage: StageMaker, code: int) -> None:
    """Wrong usage, settings, model, or the dead-letter limit stop all processes, and the code is handed on."""
    running = stage()
    first, second = running.children(2)
    first.send(f"exit {code}")
    assert second.heard() == "term"
    assert running.wait() == code


@pytest.mark.parametrize("code", [0, 1, 5, 6, 8])
def test_any_other_end_is_followed_by_a_restart(stage: StageMaker, code: int) -> None:
    """A bug, the transport, fencing, a hung call, or an end that nobody asked for start the process again."""
    running = stage(processes=1)
    first = running.child()
    first.send(f"exit {code}")
    assert running.child().slot == first.slot


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_once(stage: StageMaker, number: signal.Signals) -> None:
    """Each process is asked exactly once to stop, even when Ctrl-C goes to the whole process group."""
    running = stage()
    children = running.children(2)
    os.killpg(running.process.pid, number)
    assert running.wait() == 0
    assert [(child.heard(), child.heard()) for child in children] == [("term", ""), ("term", "")]


def test_stopping_is_not_ready(stage: StageMaker) -> None:
    """While processes finish what they have begun, the supervisor is not ready, and still alive."""
    running = stage(processes=1)
    child = running.child()
    child.tell("started")
    child.tell("stubborn")
    running.process.terminate()
    assert child.heard() == "term"
    assert running.get("/readyz") == (503, "stopping\n")
    assert running.get("/healthz")[0] == 200
    child.send("exit 0")
    assert running.wait() == 0


def test_a_process_that_fails_while_stopping_is_told(stage: StageMaker) -> None:
    """The exit code of a process that could not stop in order is the supervisor's."""
    running = stage(processes=1)
    child = running.child()
    child.tell("stubborn")
    running.process.terminate()
    assert child.heard() == "term"
    child.send("exit 5")
    assert running.wait() == 5


def test_a_second_signal_ends_it(stage: StageMaker) -> None:
    """Processes that ignore the first signal are killed on the second."""
    running = stage()
    children = running.children(2)
    for child in children:
        child.tell("stubborn")
    running.process.terminate()
    assert [child.heard() for child in children] == ["term", "term"]
    running.process.terminate()
    assert running.wait() == 128 + signal.SIGTERM
    assert [child.heard() for child in children] == ["", ""]


def test_the_grace_period_ends(stage: StageMaker) -> None:
    """Processes that do not stop within it are killed, and the exit code says that they were stuck."""
    running = stage(processes=1, grace_seconds=0.05)
    child = running.child()
    child.tell("stubborn")
    running.process.terminate()
    assert running.wait() == 8
    assert (child.heard(), child.heard()) == ("term", "")


def test_no_process_outlives_the_supervisor(stage: StageMaker) -> None:
    """Even when the supervisor is killed with kill -9."""
    running = stage()
    children = running.children(2)
    folder = children[0].metrics_folder()
    running.process.kill()
    assert [child.heard() for child in children] == ["", ""]
    shutil.rmtree(folder)  # whoever is killed so can't clear up


def test_a_process_that_comes_too_late_does_not_stay() -> None:
    """One whose supervisor is gone before it could tie itself to it ends at once."""
    orphan = "import worker.supervisor as s; s.join_supervisor(dict(%s)); print('still here')"
    variables = "PREDICTION_WORKER_SLOT='0', PREDICTION_WORKER_SUPERVISOR_PID='1'"
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", orphan % variables], cwd=root, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")


def test_a_command_that_is_not_there(stage: StageMaker) -> None:
    """Restarting what can't be found is pointless; the error names it."""
    running = stage(command=["/nowhere/python"])
    assert running.log_line()["message"] == "can't start /nowhere/python: No such file or directory"
    assert running.wait() == 3


def test_a_taken_port_is_refused_before_anything_starts(stage: StageMaker) -> None:
    """The telemetry port's other owner is found out at once, with the settings' exit code."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = stage(port=port)
        assert running.first_line["message"] == f"port {port} on 127.0.0.1 is taken"
        assert running.wait() == 3


def test_nothing_is_left_behind(stage: StageMaker) -> None:
    """The folder that the processes' metrics were kept in goes with the supervisor."""
    running = stage(processes=1)
    child = running.child()
    folder = child.metrics_folder()
    assert folder.is_dir()
    running.process.terminate()
    assert running.wait() == 0
    assert not folder.exists()
