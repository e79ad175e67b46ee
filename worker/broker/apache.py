"""A real Apache Kafka, KRaft in combined roles, in one JVM on the loopback interface.

Measured on two cores: about 4 s from nothing to the first answer, and about 2.5 s from kept data; 200 MB resident when
idle, 270 MB after a million records.
The JVM compiles with C1 only and collects serially: a broker copies bytes, and in its first half minute C2
costs more processor time than it saves (``docs/adr/0003-development-broker.md`` has the figures).
"""

from __future__ import annotations

import base64
import os
import signal
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from worker.broker import jars, ports
from worker.broker.process import OwnedProcess
from worker.broker.properties import LOOPBACK, server_properties
from worker.broker.scratch import ScratchDirectory, hold
from worker.errors import ConfigurationError, TransportError, WorkerError

JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # it would leave a file in the system's temporary directory
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",  # the compression libraries
    "--sun-misc-unsafe-memory-access=allow",  # Kafka unmaps its indexes so; Java 25 would warn each time
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
PORT_ATTEMPTS = 3
STOP_GRACE_SECONDS = 15.0
LOG_LINES_SHOWN = 2


class ApacheKafka:
    """A context manager, or ``start()`` and ``stop()``.

    Without ``data_dir`` the data lives in a temporary directory that ``stop()`` removes. With one it is kept, and
    topics, records and committed offsets are there again after the next start. The broker ends with its owner, even
    if that is killed; ``kill``, ``pause`` and ``resume`` are there for tests of what happens to its clients.

    ``properties`` override any broker setting. Not to be used from several threads at the same time.
    """

    transactional = True

    def __init__(
        self,
        *,
        port: int = 0,
        data_dir: Path | None = None,
        heap_mb: int = 512,
        properties: Mapping[str, str] | None = None,
        listeners: Sequence[str] = (),
        startup_timeout_seconds: float = 60.0,
        announce: jars.Announce | None = None,
    ) -> None:
        """``port=0`` takes a free one at the first start, and keeps to it; ``announce`` gets a line before a fetch.

        ``listeners`` are names of more listeners, each on a port of its own (``address``); ``properties`` say what they are.
        """
        self._port = port
        self._data_dir = data_dir
        self._heap_mb = heap_mb
        self._properties = dict(properties or {})
        self._listeners = dict.fromkeys(listeners, 0)
        self._startup_timeout_seconds = startup_timeout_seconds
        self._announce = announce
        self._scratch: ScratchDirectory | None = None
        self._lock: IO[bytes] | None = None
        self._process: OwnedProcess | None = None
        self._log_start = 0

    @property
    def bootstrap(self) -> str:
        if self._port == 0:
            raise ConfigurationError("the broker has not been started yet, so it has no address")
        return f"{LOOPBACK}:{self._port}"

    def address(self, listener: str) -> str:
        """Where one of the further ``listeners`` is."""
        return f"{LOOPBACK}:{self._listeners[listener]}"

    @property
    def pid(self) -> int:
        """The JVM's. Raises ConfigurationError when there is none."""
        return self._jvm.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Return when the broker answers; does nothing when it runs.

        Raises ConfigurationError (extra missing, port taken, data directory or ``properties`` refused) and
        TransportError (jars can't be fetched, the broker ends or does not answer in ``startup_timeout_seconds``).
        """
        if self.running:
            return
        java, class_path = jars.java(), jars.class_path(self._announce)
        try:
            self._start([str(java), "-cp", os.pathsep.join(map(str, class_path))])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the broker and remove temporary data. Kept data is closed in order; safe to call twice."""
        self._end(grace_seconds=0.0 if self._data_dir is None else STOP_GRACE_SECONDS)
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End it as a crash would; the data stays for the next ``start()``, temporary or not."""
        self._end(grace_seconds=0.0)

    def restart(self) -> None:
        """Stop in order, then start on the same port with the same data."""
        self._end(grace_seconds=STOP_GRACE_SECONDS)
        self.start()

    def pause(self) -> None:
        """Stop it from running at all, with its connections left open (SIGSTOP)."""
        self._jvm.send(signal.SIGSTOP)

    def resume(self) -> None:
        self._jvm.send(signal.SIGCONT)

    def wait(self) -> None:
        """Block until the broker ends by itself, and say so: raises TransportError."""
        self._jvm.wait()
        raise self._ended("Apache Kafka has ended")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, java: list[str]) -> None:
        directory = self._directory()
        any_port = self._port == 0
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._write_properties(directory)
            self._format(java, directory)
            self._launch(java, directory)
            if self._answers():
                return
            # A free port can be taken by somebody else before the broker binds it.
            if attempt == PORT_ATTEMPTS or "Address already in use" not in self._log_text():
                raise self._ended("Apache Kafka ended while it started")
            self._port = 0 if any_port else self._port

    def _directory(self) -> Path:
        """Absolute, existing, held by us alone, with what the JVM needs in it.

        Kafka's own lock is no help here: a second controller appends to the metadata log before it looks for that.
        """
        if self._data_dir is None:
            self._scratch = self._scratch or ScratchDirectory()
            directory, self._lock = self._scratch.path, self._scratch.lock
        else:
            directory = self._data_dir.absolute()
        try:
            (directory / "tmp").mkdir(parents=True, exist_ok=True)
            self._lock = self._lock or hold(directory)
            with self._log(directory).open("ab") as log:
                self._log_start = log.tell()
        except BlockingIOError as error:
            raise ConfigurationError(
                f"the data directory {directory} is in use by another broker", hint="stop that one, or name another"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"the data directory {directory} can't be used: {error.strerror}") from error
        return directory

    def _write_properties(self, directory: Path) -> None:
        if self._port == 0:
            self._port, controller_port = ports.free(2)
        else:
            ports.require_free(self._port)
            controller_port = next(port for port in ports.free(2) if port != self._port)
        taken = {self._port, controller_port}
        free = [port for port in ports.free(len(self._listeners) + 2) if port not in taken]
        self._listeners = {name: port or free.pop() for name, port in self._listeners.items()}
        text = server_properties(
            port=self._port,
            controller_port=controller_port,
            listeners=self._listeners,
            logs=directory / "logs",
            overrides=self._properties,
        )
        (directory / "server.properties").write_text(text, "utf-8")

    def _format(self, java: list[str], directory: Path) -> None:
        """Give an empty data directory its cluster id; one that has it is left as it is."""
        if (directory / "logs" / "meta.properties").exists():
            return
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode().replace("-", "_")
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", "server.properties"]
        self._process = self._run([*java, *JVM, *tool], directory)
        self._process.wait(self._startup_timeout_seconds)
        if self._process.exit_status != 0:
            raise self._ended("Apache Kafka's storage could not be formatted")

    def _launch(self, java: list[str], directory: Path) -> None:
        heap = [f"-Xmx{self._heap_mb}m", f"-Djava.io.tmpdir={directory / 'tmp'}"]
        crash = [f"-XX:ErrorFile={directory / 'jvm-crash.log'}"]
        self._process = self._run([*java, *JVM, *heap, *crash, "kafka.Kafka", "server.properties"], directory)

    def _run(self, command: list[str], directory: Path) -> OwnedProcess:
        assert self._lock is not None  # taken with the directory
        return OwnedProcess(command, directory=directory, log=self._log(directory), lock=self._lock.fileno())

    def _answers(self) -> bool:
        """True once the broker answers a metadata request and lists itself; False when it has ended."""
        deadline = time.monotonic() + self._startup_timeout_seconds
        client = AdminClient(
            {
                "bootstrap.servers": self.bootstrap,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,  # "connection refused" is what we wait through
            }
        )
        while self.running:
            try:
                if client.list_topics(timeout=0.5).brokers:
                    return True
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise TransportError(
                        f"Apache Kafka did not answer on {self.bootstrap} within {self._startup_timeout_seconds:g} s",
                        hint="give it more time (startup_timeout_seconds), or a machine with less to do",
                    ) from error
        return False

    def _end(self, *, grace_seconds: float) -> None:
        if self._process is not None:
            self._process.end(grace_seconds=grace_seconds)
            self._process = None

    @property
    def _jvm(self) -> OwnedProcess:
        if self._process is None:
            raise ConfigurationError("the broker has not been started")
        return self._process

    def _ended(self, what: str) -> WorkerError:
        log = self._log_text()
        shown = " | ".join(_telling_lines(log)[-LOG_LINES_SHOWN:])
        kind = ConfigurationError if "ConfigException" in log else TransportError
        return kind(f"{what} (exit status {self._jvm.exit_status}): {shown or 'it logged nothing'}")

    def _log_text(self) -> str:
        """What this start has logged so far."""
        directory = self._scratch.path if self._scratch is not None else self._data_dir
        if directory is None or not self._log(directory).exists():
            return ""
        return self._log(directory).read_bytes()[self._log_start :].decode("utf-8", errors="replace")

    @staticmethod
    def _log(directory: Path) -> Path:
        return directory / "broker.log"


def _telling_lines(log: str) -> list[str]:
    """Those that name an exception, or all where none does; never the frames of a stack trace."""
    lines = (line.strip() for line in log.splitlines())
    told = [line for line in lines if line and not line.startswith(("at ", "... "))]
    return [line for line in told if "Exception" in line] or told
