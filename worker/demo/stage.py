"""What stands before the curtain rises: a trained bundle, a broker, topics, settings; and the processes that act."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from worker.broker import ports
from worker.broker.choose import Broker
from worker.broker.process import LAUNCHER
from worker.broker.topics import await_leaders
from worker.errors import TransportError, WorkerError
from worker.shipped import shipped

TOPIC = "flights"
PREDICTIONS, DEAD_LETTERS = f"{TOPIC}.predictions", f"{TOPIC}.dlq"
ALERTS = f"{TOPIC}.drift-alerts"
SKETCHES = f"{TOPIC}.drift-sketches"
DRIFT = (ALERTS, SKETCHES, f"{TOPIC}.drift-reports", f"{TOPIC}.drift-state")
LABELS, QUALITY = f"{TOPIC}.labels", f"{TOPIC}.quality-reports"
PARTITIONS = 6
SETTINGS = """\
[kafka]
bootstrap = "{bootstrap}"
group = "flights-worker"

[topics]
input = "flights"

[event]
schema = "{schema}"
id = "id"
time = "scheduled_at"

[model]
bundle = "{bundle}"

[delivery]
mode = "{mode}"

[drift]
enabled = {drift}
monitor = {drift}

[telemetry]
port = {port}
"""
LABELS_SETTINGS = """
[labels]
horizon_seconds = 86400
joiner = true
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A place where ``prediction-worker run`` and the replay can be started."""

    folder: Path
    bootstrap: str
    mode: str
    port: int
    labels: bool = False

    @property
    def settings(self) -> Path:
        return self.folder / "worker.toml"

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"


def pack_bundle(folder: Path) -> str:
    """Train and pack the flights model; what was packed, in one line."""
    done = subprocess.run(  # noqa: S603 - our own module
        [*_example("pack"), "--to", str(folder / "bundle")], cwd=_root(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise WorkerError(f"the model could not be trained: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout.strip()


def set_stage(folder: Path, broker: Broker, *, labels: bool = False) -> Stage:
    """Topics and settings, on a broker that runs; ``labels``: with them, and a joiner (where there are transactions)."""
    labels = labels and broker.transactional
    mode = "exactly-once" if broker.transactional else "at-least-once"
    stage = Stage(folder, broker.bootstrap, mode, ports.free(1)[0], labels)
    stage.settings.write_text(
        SETTINGS.format(
            bootstrap=stage.bootstrap,
            schema=shipped("schemas/flight.avsc"),
            bundle=folder / "bundle",
            mode=mode,
            drift=str(broker.transactional).lower(),  # the monitor works in transactions
            port=stage.port,
        )
        + (LABELS_SETTINGS if labels else ""),
        encoding="utf-8",
    )
    _make_topics(stage)
    return stage


def _make_topics(stage: Stage) -> None:
    """By ``prediction-worker topics create``, until each has its leaders; without transactions by naming them."""
    client = AdminClient({"bootstrap.servers": stage.bootstrap, "log_level": 0})
    if stage.mode != "exactly-once":  # the mock's come into being when they are first named
        for topic in (TOPIC, PREDICTIONS, DEAD_LETTERS):
            client.list_topics(topic, timeout=10)
        return
    own = ["topics", "create", "--config", str(stage.settings), "--partitions", str(PARTITIONS), "--replication", "1"]
    command = [sys.executable, "-m", "worker", *own]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise WorkerError(f"the topics could not be created: {done.stderr.strip()}")
    flow = (TOPIC, PREDICTIONS, DEAD_LETTERS, *([LABELS] if stage.labels else []))
    single = (*DRIFT, *([QUALITY] if stage.labels else []))
    await_leaders(client, dict.fromkeys(flow, PARTITIONS) | dict.fromkeys(single, 1))


@contextlib.contextmanager
def workers(stage: Stage, processes: int) -> Iterator[subprocess.Popen[bytes]]:
    """``prediction-worker run --processes N``, with a drift monitor (and a joiner) beside where there are transactions; its log goes to the stage's folder. Stopped at the end."""
    command = [sys.executable, "-m", "worker", "run", "--config", str(stage.settings), "--processes", str(processes)]
    with _running(command, stage.log, Path.cwd()) as process:
        yield process


@contextlib.contextmanager
def replay(stage: Stage, flights: int, rate: float) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m examples.flights.replay``."""
    command = [
        *_example("replay"),
        *("--bootstrap", stage.bootstrap, "--topic", TOPIC, "--schema", str(shipped("schemas/flight.avsc"))),
        *("--limit", str(flights), "--rate", str(rate)),
        *(("--labels-topic", LABELS, "--label-schema", str(shipped("schemas/label.avsc"))) if stage.labels else ()),
    ]
    with _running(command, stage.folder / "replay.log", _root()) as process:
        yield process


@contextlib.contextmanager
def _running(command: list[str], log: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, and with this process however that ends."""
    owned = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command]
    with log.open("wb") as output:
        process = subprocess.Popen(owned, cwd=folder, stdout=output, stderr=output, start_new_session=True)  # noqa: S603
    try:
        yield process
    finally:
        _stop(process)


def kill_one(supervisor: subprocess.Popen[bytes], role: str) -> int | None:
    """End a process of the supervisor that has this role with kill -9; its pid, or None where there is no /proc to find one in."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text(encoding="ascii").split()
        for pid in map(int, children):
            if role.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
                return pid
    return None


def last_lines(path: Path, count: int = 5) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    return ""


def require_running(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Raises TransportError with the end of its log when it has ended badly."""
    if process.poll() not in (None, 0):
        raise TransportError(f"the {name} ended with exit code {process.returncode}:\n{last_lines(log)}")


def _example(module: str) -> list[str]:
    """To be run in ``_root()``."""
    return [sys.executable, "-m", f"examples.flights.{module}"]


def _root() -> Path:
    """The folder from which ``examples.flights`` can be imported."""
    return shipped("examples/flights").parents[1]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
