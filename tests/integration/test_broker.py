"""The development broker: it starts, keeps what it should, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from worker.broker import jars, ports, scratch
from worker.broker.apache import ApacheKafka
from worker.broker.choose import best_broker
from worker.broker.mock import MockKafka
from worker.broker.topics import create_topics
from worker.errors import ConfigurationError, ExitCode
from worker.records import Record

DEADLINE_SECONDS = 30.0
PROGRAM = [sys.executable, "-c", "from worker.cli import main; main()"]


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Whether it still runs; a zombie, which waits only for its parent to ask, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def records(count: int, *, partitions: int = 1, tag: str = "r") -> list[Record]:
    return [
        Record("", i % partitions, -1, 1_700_000_000_000 + i, f"key-{i}".encode(), f"{tag}-{i}".encode())
        for i in range(count)
    ]


def values(found: list[Record]) -> list[bytes | None]:
    return [record.value for record in found]


def transactional_producer(bootstrap: str, name: str) -> Producer:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": name, "retry.backoff.ms": 5, "log_level": 0}
    )
    producer.init_transactions(DEADLINE_SECONDS)
    return producer


def test_records_come_back_as_they_were_written(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """What produce_all writes, read_all reads: by partition and offset, with key, value, timestamp and headers."""
    topic = make_topic(partitions=3)
    written = [
        Record(topic, 2, 0, 1_700_000_000_000, b"k", b"v", (("a", b"1"), ("a", None), ("b", b""))),
        Record(topic, 0, 0, 1_700_000_000_001, None, None),
        Record(topic, 2, 1, 1_700_000_000_002, b"", b""),
    ]
    produce_all(kafka.bootstrap, topic, written)
    assert read_all(kafka.bootstrap, topic) == [written[1], written[0], written[2]]


def test_a_transaction_is_visible_whole_or_not_at_all(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """Readers of committed records see the committed transaction and nothing of the aborted one."""
    topic = make_topic(partitions=2)
    producer = transactional_producer(kafka.bootstrap, topic)
    for text, end in (("kept", producer.commit_transaction), ("dropped", producer.abort_transaction)):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(topic, text.encode(), partition=partition)
        producer.flush()
        end(DEADLINE_SECONDS)
    assert values(read_all(kafka.bootstrap, topic)) == [b"kept", b"kept"]
    assert values(read_all(kafka.bootstrap, topic, "read_uncommitted")) == [b"kept", b"dropped"] * 2


def test_a_hanging_transaction_fails_the_reader(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """read_all says which partition it could not finish, instead of returning less than there is."""
    topic = make_topic(partitions=2)
    producer = transactional_producer(kafka.bootstrap, topic)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=1)
    producer.flush()
    with pytest.raises(AssertionError, match=r"a transaction hangs\? partition 1 at 0 of 1$"):
        read_all(kafka.bootstrap, topic, timeout_seconds=1.0)
    producer.abort_transaction(DEADLINE_SECONDS)
    assert read_all(kafka.bootstrap, topic) == []


def test_topics_are_created_once(kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """An existing topic is left as it is; one with another number of partitions is named."""
    topic = make_topic(partitions=2)
    assert create_topics(kafka.bootstrap, {topic: 2, f"{topic}-b": 1}) == {f"{topic}-b"}
    with pytest.raises(ConfigurationError, match=f"topic '{topic}' exists with 2 partitions, not 3"):
        create_topics(kafka.bootstrap, {topic: 3})


def test_a_refused_topic_is_our_configuration(kafka: KafkaUnderTest) -> None:
    """What the broker refuses is said in its own words."""
    with pytest.raises(ConfigurationError, match="topic 'not a name' was refused"):
        create_topics(kafka.bootstrap, {"not a name": 1})


def test_stop_leaves_nothing(apache_kafka: ApacheKafka) -> None:
    """After stop() there is no process, no directory and no listener, and a second stop() does nothing."""
    apache_kafka.start()
    pid, port = apache_kafka.pid, int(apache_kafka.bootstrap.rpartition(":")[2])
    directory = Path(f"/proc/{pid}/cwd").readlink()
    apache_kafka.stop()
    assert not alive(pid)
    assert not directory.exists()
    ports.require_free(port)
    apache_kafka.stop()
    assert not apache_kafka.running


def test_only_the_loopback_interface_is_served(apache_kafka: ApacheKafka) -> None:
    """None of the JVM's listening sockets is open to another machine."""
    apache_kafka.start()
    opened = [os.path.realpath(entry) for entry in Path(f"/proc/{apache_kafka.pid}/fd").iterdir()]
    inodes = {name.partition("socket:[")[2].removesuffix("]") for name in opened if "socket:[" in name}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}
    assert listening <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert listening


def test_data_survive_crash_and_restart(apache_kafka: ApacheKafka) -> None:
    """Killed or restarted, the broker comes back on the same address with what was acknowledged."""
    apache_kafka.start()
    address = apache_kafka.bootstrap
    create_topics(address, {"kept": 2})
    produce_all(address, "kept", records(10, partitions=2))
    before = read_all(address, "kept")
    apache_kafka.kill()
    assert not apache_kafka.running
    apache_kafka.start()
    assert read_all(address, "kept") == before
    first = apache_kafka.pid
    apache_kafka.restart()
    assert apache_kafka.pid != first
    assert read_all(address, "kept") == before
    assert apache_kafka.bootstrap == address


@pytest.mark.kafka
def test_a_data_directory_is_kept(tmp_path: Path) -> None:
    """A later broker on the same directory, on another port, serves the same topics."""
    with ApacheKafka(data_dir=tmp_path / "data") as first:
        create_topics(first.bootstrap, {"kept": 1})
        produce_all(first.bootstrap, "kept", records(3))
        before = read_all(first.bootstrap, "kept")
    with ApacheKafka(data_dir=tmp_path / "data") as second:
        assert second.bootstrap != first.bootstrap
        assert read_all(second.bootstrap, "kept") == before


def test_a_paused_broker_answers_again(apache_kafka: ApacheKafka) -> None:
    """pause() keeps it from answering, resume() lets it; a paused one can be stopped."""
    apache_kafka.start()
    client = AdminClient({"bootstrap.servers": apache_kafka.bootstrap, "log_level": 0})
    apache_kafka.pause()
    with pytest.raises(KafkaException):
        client.list_topics(timeout=0.5)
    apache_kafka.resume()
    assert client.list_topics(timeout=DEADLINE_SECONDS).brokers
    apache_kafka.pause()
    apache_kafka.restart()
    assert apache_kafka.running


@pytest.mark.kafka
def test_the_broker_dies_with_its_owner(tmp_path: Path) -> None:
    """kill -9 of the owner ends the JVM, and the next broker removes the directory that was left."""
    script = (
        "import threading; from worker.broker.apache import ApacheKafka; k = ApacheKafka()\n"
        "t = threading.Thread(target=k.start); t.start(); t.join()\n"  # the thread that starts it does not stay
        "print(k.pid, flush=True); k.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.kill()
    assert eventually(lambda: not alive(pid))
    left = list(tmp_path.glob(scratch.PREFIX + "*"))
    assert len(left) == 1
    mine = scratch.ScratchDirectory(tmp_path)

    def swept() -> bool:
        scratch.remove_abandoned(tmp_path)
        return not left[0].exists()

    assert eventually(swept)
    assert mine.path.exists()
    mine.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.kafka
def test_a_taken_port_is_our_configuration() -> None:
    """The port is named, and so is the way out; nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = ApacheKafka(port=port)
        with pytest.raises(ConfigurationError, match=f"port {port} is taken") as failure:
            broker.start()
    assert failure.value.hint is not None
    assert "--port" in failure.value.hint
    assert not broker.running


@pytest.mark.kafka
def test_a_broker_that_ends_while_starting_says_why() -> None:
    """The last lines of its log are in the error."""
    with (
        pytest.raises(ConfigurationError, match=r"exit status 1.*num\.io\.threads"),
        ApacheKafka(properties={"num.io.threads": "none"}),
    ):
        pass


def test_a_directory_in_use_is_not_shared(apache_kafka: ApacheKafka) -> None:
    """A second broker on the data of a running one says so, and does not disturb the first."""
    apache_kafka.start()
    directory = Path(f"/proc/{apache_kafka.pid}/cwd").readlink()
    with pytest.raises(ConfigurationError, match="is in use by another broker"):
        ApacheKafka(data_dir=directory).start()
    assert create_topics(apache_kafka.bootstrap, {"still-there": 1}) == {"still-there"}


@pytest.mark.kafka
def test_the_command_serves_until_sigterm() -> None:
    """It prints the address, creates the topics, and exits with 0 on SIGTERM with its broker gone."""
    command = [*PROGRAM, "broker", "--port", "0", "--topic", "flights:6", "--topic", "labels"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        found = re.search(r"listening on (127\.0\.0\.1:\d+)", "".join(lines))
        assert found, lines
        topics = (
            AdminClient({"bootstrap.servers": found[1], "log_level": 0}).list_topics(timeout=DEADLINE_SECONDS).topics
        )
        assert {name: len(topic.partitions) for name, topic in topics.items()} == {"flights": 6, "labels": 1}
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(DEADLINE_SECONDS) == 0, rest
    assert rest == "Apache Kafka has been stopped.\n"
    ports.require_free(int(found[1].rpartition(":")[2]))


def test_the_command_names_a_taken_port() -> None:
    """One line that says what is wrong, one with the way out, and the exit code of a configuration error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*PROGRAM, "broker", "--port", str(port)], capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == ExitCode.CONFIGURATION
    assert f"port {port} is taken" in ended.stderr
    assert "--port" in ended.stderr
    assert ended.stdout == ""


def test_mock_cluster_answers() -> None:
    """Records go in and come out, topics come into being by name; after stop() it has no address."""
    with MockKafka() as broker:
        assert not broker.transactional
        produce_all(broker.bootstrap, "t", records(8, partitions=4))
        assert sorted(v or b"" for v in values(read_all(broker.bootstrap, "t"))) == [
            f"r-{i}".encode() for i in range(8)
        ]
    with pytest.raises(ConfigurationError):
        _ = broker.bootstrap


def test_what_cannot_be_fetched_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jars and without a way to Maven Central the mock cluster is offered, in one line that says why."""
    monkeypatch.setenv("M2_REPO", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{ports.free(1)[0]}")
    said: list[str] = []
    assert isinstance(best_broker(said.append), MockKafka)
    assert len(said) == 2
    assert said[0].startswith("Fetching Apache Kafka")
    assert said[1].startswith("At-least-once on a mock broker, because Apache Kafka 4.3.0 can't be fetched")
    assert [path.name for path in tmp_path.iterdir()] == [jars.LOCK]


def test_a_damaged_jar_is_not_run(tmp_path: Path) -> None:
    """A jar counts as there only if it is whole."""
    jar = jars.pinned()[0]
    jar.path(tmp_path).parent.mkdir(parents=True)
    jar.path(tmp_path).write_bytes(b"half of it")
    assert not jar.verified(jar.path(tmp_path))
    assert not jar.verified(tmp_path / "missing.jar")
