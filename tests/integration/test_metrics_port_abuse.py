"""The telemetry port under abuse, at a real worker: the stream goes on, health answers, and nothing grows."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.chaos.fleet import ChildProcess, Fleet
from tests.component.worker_rig import LOAN, event, loan
from tests.conftest import MakeTopic
from tests.fuzz.memory import resident_mb
from tests.integration.security.bed import pack_loans
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from tests.support.waiting import wait_until
from worker.broker.ports import free
from worker.broker.topics import create_topics
from worker.errors import ExitCode
from worker.telemetry.http import MAX_CONNECTIONS

SLOW = 300
RECORDS = 5_000
MOST_GROWTH_MB = 40
ABUSE = (
    b"GET /metrics HTTP/1.1\r\n\r\n",
    b"GET /../../../../etc/passwd HTTP/1.1\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n\r\n",
    b"BREW /metrics HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000,
    b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 9_000,
)


class Attack:
    """Connections that send a byte and then nothing, renewed as they are cut; and others that send what is no request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self.sent = 0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._hold, self._flood, self._flood)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _hold(self) -> None:
        held: list[socket.socket] = []
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                held.append(self._connected())
                held[-1].sendall(b"G")
            if len(held) > SLOW:
                held.pop(0).close()
        for one in held:
            one.close()

    def _flood(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError), self._connected() as connection:
                connection.sendall(ABUSE[self.sent % len(ABUSE)])
                self.sent += 1
                connection.recv(100)

    def _connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=2)


@pytest.fixture
def worker(tmp_path: Path, kafka: KafkaUnderTest, make_topic: MakeTopic) -> Iterator[tuple[ChildProcess, str, int]]:
    """A worker on a topic of its own, with its port."""
    topic, (port,) = make_topic(), free(1)
    create_topics(kafka.bootstrap, {f"{topic}{suffix}": 1 for suffix in (".predictions", ".dlq", ".drift-sketches")})
    (tmp_path / "loan.avsc").write_text(LOAN.text)
    config = tmp_path / "worker.toml"
    config.write_text(
        f"""
        kafka = {{ bootstrap = "{kafka.bootstrap}", group = "{topic}" }}
        topics = {{ input = "{topic}" }}
        event = {{ schema = "loan.avsc", id = "application_id" }}
        model = {{ bundle = "{pack_loans(tmp_path / "bundle")}" }}
        telemetry = {{ port = {port} }}
        """
    )
    with Fleet(config) as fleet:
        yield fleet.start(), topic, port
        assert fleet.stop(30) == [ExitCode.OK]


def health(port: int) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_the_stream_goes_on(worker: tuple[ChildProcess, str, int], kafka: KafkaUnderTest) -> None:
    """With hundreds of slow connections held and floods of nonsense, all is predicted, and nothing grows without bound."""
    process, topic, port = worker
    wait_until(lambda: process.ready or not process.running, 60)
    assert health(port) == 200
    before = resident_mb(process.pid), threads(process.pid), descriptors(process.pid)
    with Attack(port) as attack:
        wait_until(lambda: attack.sent > 100, 30)
        produce_all(kafka.bootstrap, topic, [event(loan(n)) for n in range(RECORDS)])
        wait_until(lambda: len(read_all(kafka.bootstrap, f"{topic}.predictions")) == RECORDS, 60)
        assert health(port) == 200
        during = resident_mb(process.pid), threads(process.pid), descriptors(process.pid)
    assert during[0] - before[0] < MOST_GROWTH_MB
    # One more each is on its way out when the next comes in.
    assert during[1] - before[1] <= 2 * MAX_CONNECTIONS
    assert during[2] - before[2] <= 2 * MAX_CONNECTIONS
    wait_until(lambda: threads(process.pid) <= before[1] + 1, 30)
    assert "Traceback" not in process.text()
