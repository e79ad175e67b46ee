"""Dead letters on a real Kafka: each is replayed once, whatever happens, and stopped partitions go on when told to."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Position
from typer.testing import CliRunner, Result

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from worker.cli.dlq import app
from worker.errors import ConfigurationError, Fenced
from worker.kafka.dead_letter_topic import DeadLetterTopic
from worker.kafka.letters import LetterFilter
from worker.kafka.replay import replay
from worker.kafka.replay_plan import ReplayRequest, Verdict, plan
from worker.kafka.resume import Stopped, resume, stopped_partitions
from worker.pipeline.dead_letters import REPLAYS, DeadLetterPolicy
from worker.records import Headers, Reason, Record, RecordBatch, Refusal, Refusals, Stage
from worker.settings import Settings, load_settings

SCHEMA = {"type": "record", "name": "Payment", "fields": [{"name": "amount", "type": "long", "minimum": 0}]}
OWN: Headers = (("trace", b"t"),)
KINDS = (
    (Stage.DECODE, Reason.MALFORMED, None),
    (Stage.VALIDATE, Reason.BELOW_MINIMUM, "amount"),
    (Stage.VALIDATE, Reason.TOO_LONG, "name"),
)
TRIPPED = json.dumps({"v": 1, "digest": "d", "seen": 9, "refused": 9, "run": 9, "tripped": "9 refused in a row"})
# Runs `dlq replay` in chunks of 5, and ends itself with SIGKILL at the given call of the third transaction.
KILLED = """
import os, signal, sys
from pathlib import Path
from worker.kafka import replay
from worker.kafka.replay_plan import ReplayRequest
from worker.settings import load_settings

config, at, after = sys.argv[1], sys.argv[2], sys.argv[3] == "after"
call, seen = replay.TransactionalSink._call, []

def killing(self, name, function, *arguments):
    seen.append(name)
    dead = name == at and seen.count(at) == 3
    if dead and not after:
        self._producer.flush(5)  # so that what was produced so far is on the broker
        os.kill(os.getpid(), signal.SIGKILL)
    call(self, name, function, *arguments)
    if dead:
        os.kill(os.getpid(), signal.SIGKILL)

replay.TransactionalSink._call = killing
replay.replay(load_settings(Path(config)), ReplayRequest(), chunk_records=5)
"""
# Runs `dlq` and sends itself a signal, as Ctrl-C does, once the first transaction is committed.
INTERRUPTED = """
import os, signal
from worker.cli.dlq import app
from worker.kafka import replay

deliver = replay.TransactionalSink.deliver

def interrupting(self, *arguments):
    deliver(self, *arguments)
    replay.TransactionalSink.deliver = deliver
    os.kill(os.getpid(), signal.SIGINT)

replay.TransactionalSink.deliver = interrupting
app()
"""


@pytest.fixture
def config(kafka: KafkaUnderTest, make_topic: MakeTopic, tmp_path: Path) -> Path:
    """Settings of a worker with topics of its own, of two partitions."""
    topic = make_topic(partitions=2, name_prefix="events")
    dead_letters = make_topic(partitions=2, name_prefix="letters")
    (tmp_path / "payment.avsc").write_text(json.dumps(SCHEMA))
    path = tmp_path / "worker.toml"
    path.write_text(
        f'[kafka]\nbootstrap = "{kafka.bootstrap}"\ngroup = "group-{topic}"\n'
        f'[topics]\ninput = "{topic}"\ndead_letters = "{dead_letters}"\n'
        '[event]\nschema = "payment.avsc"\nframing = "raw"\n[model]\nbundle = "none"\n'
    )
    return path


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config, {})


def refuse(settings: Settings, values: range, headers: Headers = OWN, topic: str | None = None) -> list[Record]:
    """Dead letters as the worker makes them: value i is of kind i mod 3, from partition i mod 2, offset i."""
    records = [
        Record(topic or settings.topics.input, i % 2, i, 1_700_000_000_000 + i, b"k%d" % i, b"v%d" % i, headers)
        for i in values
    ]
    refusals = [Refusal(row, *KINDS[i % 3][:2], detail="a rule", field=KINDS[i % 3][2]) for row, i in enumerate(values)]
    policy = DeadLetterPolicy(settings.topics.dead_letters, settings.kafka.group, "1", "model 1")
    out = policy.letters(RecordBatch.of(records), Refusals.of(refusals))
    return [
        Record(
            out.topic, int(out.partition[i]), -1, records[i].timestamp_ms, out.keys[i], out.values[i], out.headers[i]
        )
        for i in range(len(out))
    ]


def fill(settings: Settings, values: range, headers: Headers = OWN, topic: str | None = None) -> None:
    produce_all(settings.kafka.bootstrap, settings.topics.dead_letters, refuse(settings, values, headers, topic))


def replayed(settings: Settings) -> list[int]:
    """The numbers of the values in the input topic, sorted; one that is there twice is in it twice."""
    found = read_all(settings.kafka.bootstrap, settings.topics.input)
    return sorted(int((record.value or b"")[1:]) for record in found)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def commit(settings: Settings, metadata: dict[int, str], offset: int = 0) -> None:
    with member(settings, join=False) as consumer:
        consumer.commit(
            offsets=[Position(settings.topics.input, p, offset, text) for p, text in metadata.items()],
            asynchronous=False,
        )


@contextmanager
def member(settings: Settings, *, join: bool, protocol: str = "classic") -> Iterator[Consumer]:
    """A consumer of the worker's group, with ``join`` a live one."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap,
            "group.id": settings.kafka.group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        if join:
            consumer.subscribe([settings.topics.input])
            while not consumer.assignment():
                consumer.poll(0.1)
        yield consumer
    finally:
        consumer.close()


def test_a_replay_gives_the_record_back_as_it_was(settings: Settings) -> None:
    """Key, value, own headers and partition are the refused record's, with the loop guard and no error headers."""
    fill(settings, range(4))
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 4
    found = read_all(settings.kafka.bootstrap, settings.topics.input)
    assert [(r.partition, r.key, r.value) for r in found] == [
        (0, b"k0", b"v0"),
        (0, b"k2", b"v2"),
        (1, b"k1", b"v1"),
        (1, b"k3", b"v3"),
    ]
    assert {r.headers for r in found} == {((REPLAYS, b"1"), *OWN)}


def test_null_keys_values_and_headers_come_back_null(settings: Settings) -> None:
    """A tombstone that was dead-lettered is replayed as one; null is not turned into empty bytes."""
    (letter,) = refuse(settings, range(1), (("nothing", None),))
    empty = Record(letter.topic, 0, -1, 0, None, None, letter.headers)
    produce_all(settings.kafka.bootstrap, settings.topics.dead_letters, [empty])
    replay(settings, ReplayRequest())
    (found,) = read_all(settings.kafka.bootstrap, settings.topics.input)
    assert (found.key, found.value, found.headers) == (None, None, ((REPLAYS, b"1"), ("nothing", None)))


def test_a_second_replay_goes_on_where_the_first_stopped(settings: Settings) -> None:
    """Letters are replayed once over any number of replays; new ones are taken by the next."""
    fill(settings, range(10))
    assert replay(settings, ReplayRequest(most=4))[Verdict.REPLAY] == 4
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 6
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 0
    fill(settings, range(10, 12))
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 2
    assert replayed(settings) == list(range(12))


def test_filters_leave_the_others_for_later(settings: Settings) -> None:
    """A replay of one reason neither loses the letters of others nor is repeated by a replay of all."""
    fill(settings, range(12))
    assert replay(settings, ReplayRequest(LetterFilter(reason="too_long")))[Verdict.REPLAY] == 4
    assert plan(settings, ReplayRequest())[1] == {("decode", "malformed"): 4, ("validate", "below_minimum"): 4}
    assert replay(settings, ReplayRequest(LetterFilter(stage="validate")))[Verdict.REPLAY] == 4
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 4
    assert replayed(settings) == list(range(12))


def test_from_start_takes_all_again(settings: Settings) -> None:
    """Only when asked to, a replay takes what was replayed before; one that stops early can be gone on with."""
    fill(settings, range(12))
    replay(settings, ReplayRequest())
    assert replay(settings, ReplayRequest(from_start=True, most=8), chunk_records=2)[Verdict.REPLAY] == 8
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 4
    assert replayed(settings) == sorted([*range(12), *range(12)])


def test_from_start_with_a_filter_takes_what_a_wider_replay_took(settings: Settings) -> None:
    """Starting over means the letters of the filter, whatever has replayed them, and no others."""
    fill(settings, range(6))
    replay(settings, ReplayRequest())
    again = ReplayRequest(LetterFilter(reason="malformed"), from_start=True)
    assert replay(settings, again)[Verdict.REPLAY] == 2
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 0
    assert replayed(settings) == sorted([*range(6), 0, 3])


def test_since_goes_by_the_letters_time(settings: Settings) -> None:
    """Letters from before that time are left alone, and are not taken for replayed."""
    fill(settings, range(10))
    assert replay(settings, ReplayRequest(since_ms=1_700_000_000_006))[Verdict.REPLAY] == 4
    assert replayed(settings) == [6, 7, 8, 9]
    assert plan(settings, ReplayRequest(since_ms=1_800_000_000_000))[0] == Counter()
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 6


def test_no_loop_is_endless(settings: Settings) -> None:
    """A letter that was replayed as often as allowed is left out and counted; a higher limit takes it."""
    fill(settings, range(2), ((REPLAYS, b"3"),))
    fill(settings, range(2, 4), ((REPLAYS, b"2"),))
    done = replay(settings, ReplayRequest())
    assert (done[Verdict.REPLAY], done[Verdict.GUARDED]) == (2, 2)
    assert replay(settings, ReplayRequest(max_replays=4))[Verdict.REPLAY] == 2
    found = read_all(settings.kafka.bootstrap, settings.topics.input)
    assert Counter(value for r in found for name, value in r.headers if name == REPLAYS) == {b"3": 2, b"4": 2}


def test_what_fails_for_ever_comes_back_three_times(settings: Settings) -> None:
    """The count goes round with a record that is refused again and again, and ends its way."""
    fill(settings, range(1))
    seen = 0
    for _ in range(6):
        replay(settings, ReplayRequest())
        back = read_all(settings.kafka.bootstrap, settings.topics.input)
        if len(back) > seen:
            fill(settings, range(1), back[-1].headers)
        seen = len(back)
    assert seen == 3


def test_letters_of_others_are_left_alone(settings: Settings) -> None:
    """What is no dead letter of this group and input topic is never written to the input topic."""
    fill(settings, range(2), topic="somewhere-else")
    produce_all(settings.kafka.bootstrap, settings.topics.dead_letters, [Record("", 0, -1, 0, None, b"v9")])
    done = replay(settings, ReplayRequest())
    assert done == {Verdict.FOREIGN: 3}
    assert replayed(settings) == []
    with DeadLetterTopic(settings) as letters:
        places = [Position(settings.topics.dead_letters, p) for p in (0, 1)]
        gone_through = [p.offset for p in letters.consumer.committed(places, timeout=10)]
        assert gone_through == [span.end for span in letters.spans().values()]


def test_letters_of_an_open_transaction_are_still_to_come(settings: Settings) -> None:
    """A replay doesn't see uncommitted letters, and doesn't count them as gone through."""
    fill(settings, range(4))
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": settings.kafka.group, "log_level": 0}
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    for record in refuse(settings, range(4, 8)):
        producer.produce(
            settings.topics.dead_letters, record.value, record.key, record.partition, headers=list(record.headers)
        )
    producer.flush(10)
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 4
    producer.commit_transaction(10)
    assert replay(settings, ReplayRequest())[Verdict.REPLAY] == 4
    assert replayed(settings) == list(range(8))


@pytest.mark.parametrize(
    ("at", "when"),
    [
        ("begin_transaction", "before"),
        ("send_offsets_to_transaction", "before"),
        ("commit_transaction", "before"),
        ("commit_transaction", "after"),
    ],
)
def test_a_replay_that_is_killed_neither_loses_nor_doubles(
    settings: Settings, config: Path, at: str, when: str
) -> None:
    """kill -9 at any point of a transaction: the next replay completes it, every letter exactly once."""
    fill(settings, range(40))
    killed = subprocess.run([sys.executable, "-c", KILLED, config, at, when], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    rest = replay(settings, ReplayRequest())[Verdict.REPLAY]
    assert rest == (25 if when == "after" else 30)
    assert replayed(settings) == list(range(40))


def test_stopping_ends_between_transactions(settings: Settings) -> None:
    """Told to stop, a replay ends after the chunk in hand, and the next one goes on behind it."""
    fill(settings, range(20))
    told: list[int] = []
    replay(settings, ReplayRequest(), on_chunk=told.append, should_stop=lambda: bool(told), chunk_records=5)
    assert told[0] == 5
    assert len(replayed(settings)) < 20
    replay(settings, ReplayRequest())
    assert replayed(settings) == list(range(20))


def test_ctrl_c_ends_the_replay_command_cleanly(settings: Settings, config: Path) -> None:
    """The first Ctrl-C lets the transaction in hand finish, says how far it got, and nothing is lost or doubled."""
    fill(settings, range(1_200))
    command = [sys.executable, "-c", INTERRUPTED, "replay", "-c", str(config), "--yes"]
    ended = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, "")
    there = len(replayed(settings))
    assert 500 <= there < 1_200
    assert f"replayed {there} of 1200, then stopped" in ended.stdout
    replay(settings, ReplayRequest())
    assert replayed(settings) == list(range(1_200))


def test_of_two_replays_the_first_is_fenced(settings: Settings) -> None:
    """A second replay of the group takes over; the first can write no more, and every letter is replayed once."""
    fill(settings, range(20))
    ended: list[str] = []

    def overtake(_: int) -> None:
        if not ended:
            ended.append("overtaken")
            replay(settings, ReplayRequest())

    with pytest.raises(Fenced):
        replay(settings, ReplayRequest(), on_chunk=overtake, chunk_records=5)
    assert replayed(settings) == list(range(20))


def test_a_topic_created_anew_is_noticed(settings: Settings) -> None:
    """Progress beyond the end of the topic stops a replay: the letters before it are new ones."""
    fill(settings, range(2))
    with DeadLetterTopic(settings) as letters:
        beyond = [Position(settings.topics.dead_letters, 0, 50)]
        letters.consumer.commit(offsets=beyond, asynchronous=False)
    with pytest.raises(ConfigurationError, match="went to offset 50"):
        replay(settings, ReplayRequest())
    assert replay(settings, ReplayRequest(from_start=True))[Verdict.REPLAY] == 2


def test_an_origin_that_exists_no_longer_is_refused(settings: Settings) -> None:
    """A letter from a partition that the input doesn't have stops the replay with nothing written."""
    (letter,) = refuse(settings, range(1))
    headers = tuple((n, b"7" if n == "__dlq.errors.partition" else v) for n, v in letter.headers)
    produce_all(
        settings.kafka.bootstrap,
        settings.topics.dead_letters,
        [Record("", 0, -1, 0, letter.key, letter.value, headers)],
    )
    with pytest.raises(ConfigurationError, match=r"\[7\]"):
        replay(settings, ReplayRequest())
    assert replayed(settings) == []


def test_resume_clears_what_stopped_a_partition(settings: Settings) -> None:
    """The offset stays, the reason goes; partitions that were not meant keep theirs."""
    commit(settings, {0: TRIPPED, 1: TRIPPED}, offset=3)
    assert stopped_partitions(settings) == [Stopped(p, 3, "9 refused in a row") for p in (0, 1)]
    assert resume(settings, [1]) == [1]
    assert stopped_partitions(settings) == [Stopped(0, 3, "9 refused in a row")]
    with member(settings, join=False) as consumer:
        (at,) = consumer.committed([Position(settings.topics.input, 1)], timeout=10)
    assert (at.offset, at.metadata or "") == (3, "")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_resume_is_refused_while_a_worker_runs(settings: Settings, protocol: str) -> None:
    """With a live member in the group nothing is changed, and the way out is named."""
    commit(settings, {0: TRIPPED})
    with member(settings, join=True, protocol=protocol), pytest.raises(ConfigurationError) as refused:
        resume(settings, [0])
    assert "stop them first" in (refused.value.hint or "")
    assert resume(settings, [0]) == [0]


def test_the_resume_command(settings: Settings, config: Path) -> None:
    """It says why partitions are stopped, needs a yes, and is content when there is nothing to do."""
    assert "nothing to resume" in run("resume", "--config", str(config)).output
    commit(settings, {1: TRIPPED})
    assert isinstance(run("resume", "-c", str(config)).exception, ConfigurationError)
    assert "partition 1 is stopped" in run("list", "-c", str(config)).stderr
    assert "nothing to resume" in run("resume", "-c", str(config), "--partition", "0", "--yes").output
    done = run("resume", "-c", str(config), "--yes")
    assert (done.exit_code, "9 refused in a row" in done.output, "resumed 1 partition" in done.output) == (
        0,
        True,
        True,
    )
    assert stopped_partitions(settings) == []


def test_the_list_command(settings: Settings, config: Path) -> None:
    """In a pipe: a line a letter with tabs between, the latest first cut, and the counts behind; never a value."""
    fill(settings, range(12))
    listed = run("list", "-c", str(config), "--limit", "2")
    lines = listed.stdout.splitlines()
    assert lines[0].split("\t")[:5] == ["letter", "origin", "when", "stage", "reason"]
    assert lines[2].split("\t")[:5] == [
        "1:5",
        f"{settings.topics.input}[1]@11",
        "2023-11-14T22:13:20.011Z",
        "validate",
        "too_long",
    ]
    assert sorted(lines[-3:]) == ["decode\tmalformed\t4", "validate\tbelow_minimum\t4", "validate\ttoo_long\t4"]
    assert "the latest 2 of 12" in listed.stderr
    assert "v11" not in listed.output
    assert "k11" not in listed.output
    assert "k11" in run("list", "-c", str(config), "--keys").output


def test_the_list_command_as_json(settings: Settings, config: Path) -> None:
    """An object a line and nothing else, of the letters that the filter means."""
    fill(settings, range(12))
    result = run("list", "-c", str(config), "--json", "--reason", "malformed", "--origin-partition", "1")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["origin"]["offset"] for one in found] == [3, 9]
    summary = json.loads(run("list", "-c", str(config), "--json", "--summary").stdout)
    assert summary["letters"] == 12
    wrong = run("list", "-c", str(config), "--reason", "tired").exception
    assert isinstance(wrong, ConfigurationError)
    assert "below_minimum" in wrong.message


def test_the_show_command(settings: Settings, config: Path) -> None:
    """Everything about one letter and the verdict for it now; what the record holds only when asked for."""
    letter = refuse(settings, range(1))[0]
    sound, unsound = bytes([84]), bytes([83])  # 42 and -42 as Avro writes them
    produce_all(
        settings.kafka.bootstrap,
        settings.topics.dead_letters,
        [Record("", 0, -1, 0, b"secret-key", value, letter.headers) for value in (sound, unsound)],
    )
    shown = run("show", "0:0", "-c", str(config))
    assert "decodes and is valid" in shown.stdout
    assert "a rule" in shown.stdout
    assert not {"42", "54", "secret-key"} & set(shown.stdout.split())
    assert "--values" in shown.stderr
    full = run("show", "0:0", "-c", str(config), "--values").stdout.split()
    assert {"42", "54", "secret-key"} <= set(full)
    assert "refused: validate/below_minimum: amount: is below minimum 0" in run("show", "0:1", "-c", str(config)).stdout
    for nowhere in ("0:2", "1:0", "9:0", "x", "0:-1"):
        assert isinstance(run("show", "-c", str(config), "--", nowhere).exception, ConfigurationError)


def test_the_replay_command(settings: Settings, config: Path) -> None:
    """In a pipe it needs --yes; --dry-run says the same and writes nothing."""
    fill(settings, range(6))
    refused = run("replay", "-c", str(config)).exception
    assert isinstance(refused, ConfigurationError)
    assert refused.hint == "say --yes"
    assert "would replay 6 dead letters" in run("replay", "-c", str(config), "--dry-run").output
    assert replayed(settings) == []
    assert "replayed 6 of 6" in run("replay", "-c", str(config), "--yes").output
    again = run("replay", "-c", str(config), "--yes")
    assert (again.exit_code, "nothing to replay" in again.output) == (0, True)
    assert replayed(settings) == list(range(6))


def test_the_replay_command_on_a_terminal(settings: Settings, config: Path) -> None:
    """It asks first, and a no leaves everything as it is."""
    fill(settings, range(3))
    assert "nothing was replayed" in on_terminal(["replay", "-c", str(config)], b"n\n")
    assert replayed(settings) == []
    assert "replayed 3 of 3" in on_terminal(["replay", "-c", str(config)], b"y\n")
    assert replayed(settings) == [0, 1, 2]


def on_terminal(arguments: list[str], answer: bytes) -> str:
    """What the command shows on a terminal where somebody types the answer ahead."""
    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", "from worker.cli.dlq import app; app()", *arguments]
    shown = bytearray()
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, answer)
        reader = threading.Thread(target=_drain, args=(ours, shown))
        reader.start()
        assert process.wait(60) == 0
        reader.join(10)
    os.close(ours)
    return shown.decode()


def _drain(descriptor: int, into: bytearray) -> None:
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # Linux: the other side has been closed
            return
        if not piece:
            return
        into += piece
