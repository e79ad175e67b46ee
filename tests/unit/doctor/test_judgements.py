"""Permissions, brokers, clocks, records and the port: facts in, findings out."""

from __future__ import annotations

import http.server
import socket
import threading
from collections import Counter

import pytest

from worker.doctor import Finding, Level
from worker.doctor.clock import judge_clock, judge_newest
from worker.doctor.cluster import judge_cluster, release_of
from worker.doctor.group import judge_group, judge_joiners
from worker.doctor.permissions import judge_permissions
from worker.doctor.port import judge_port
from worker.doctor.records import judge_records
from worker.doctor.topics import Process, wanted_topics
from worker.kafka.facts import ClusterFacts, GroupFacts, Operations, TopicFacts
from worker.kafka.probe import Probed
from worker.kafka.resume import Stopped
from worker.settings import Settings, Topics, load_settings

TOPICS = Topics(input="loans")
ALL = frozenset({"READ", "WRITE", "DESCRIBE", "CREATE", "DELETE", "ALTER"})
MODERN = {0: 13, 28: 5, 66: 1, 68: 1, 75: 0}


def settings(**environment: str) -> Settings:
    known = {
        "WORKER_KAFKA__BOOTSTRAP": "broker:9092",
        "WORKER_KAFKA__GROUP": "loans-worker",
        "WORKER_TOPICS__INPUT": "loans",
        "WORKER_EVENT__SCHEMA": "loan.avsc",
        "WORKER_MODEL__BUNDLE": "bundle",
    }
    return load_settings(None, known | environment)


def levels(findings: list[Finding]) -> list[Level]:
    assert all(finding.fix for finding in findings if finding.level is not Level.OK)
    return [finding.level for finding in findings]


def permissions(
    changed: dict[str, Operations],
    group: GroupFacts | None = None,
    joiners: GroupFacts | None = None,
    started: tuple[Process, ...] = (),
) -> list[Finding]:
    wanted = wanted_topics(TOPICS, drift=True, labels_kept_seconds=60)
    facts: dict[str, TopicFacts | None] = {
        topic.name: TopicFacts(topic.name, 1, 1, 0, 0, {}, changed.get(topic.name, ALL)) for topic in wanted
    }
    groups: dict[str, tuple[Process, GroupFacts]] = {
        "loans-worker": ("worker", group or GroupFacts("EMPTY", 0, ALL)),
        "loans-worker-labels": ("joiner", joiners or GroupFacts("EMPTY", 0, ALL)),
    }
    return list(judge_permissions(wanted, facts, groups, frozenset(started)))


def test_all_is_permitted() -> None:
    """Where everything needed is permitted, that is one line."""
    assert levels(permissions({})) == [Level.OK]


def test_what_is_not_permitted() -> None:
    """Each operation that is lacking is named with its topic, and READ includes DESCRIBE."""
    found = permissions({"loans": frozenset({"DESCRIBE"}), "loans.predictions": frozenset({"READ"})})
    assert levels(found) == [Level.ERROR, Level.ERROR]
    assert [finding.fix for finding in found] == ["allow READ on topic loans", "allow WRITE on topic loans.predictions"]
    assert levels(permissions({"loans": frozenset({"READ"})})) == [Level.OK]


def test_what_a_monitor_may_not() -> None:
    """What a monitor alone lacks is a warning."""
    assert levels(permissions({"loans.drift-state": frozenset({"READ"})})) == [Level.WARNING]


def test_what_a_joiner_may_not() -> None:
    """What a joiner alone lacks is a warning, and an error where `run` starts it; its group is one of these things."""
    lacking: dict[str, Operations] = {
        "loans.labels": frozenset({"DESCRIBE"}),
        "loans.predictions": frozenset({"WRITE"}),
    }
    found = permissions(lacking)
    assert levels(found) == [Level.WARNING, Level.WARNING]
    assert [finding.text for finding in found] == [
        "a joiner may not read loans.predictions (predictions)",
        "a joiner may not read loans.labels (labels)",
    ]
    assert levels(permissions(lacking, started=("joiner",))) == [Level.ERROR, Level.ERROR]
    (only,) = permissions({}, joiners=GroupFacts("EMPTY", 0, frozenset({"DESCRIBE"})))
    assert (only.level, only.fix) == (Level.WARNING, "allow READ on group loans-worker-labels")


def test_nobody_joins() -> None:
    """Workers without a joiner are a warning; nobody at all is not."""
    nobody, somebody = GroupFacts("EMPTY", 0, None), GroupFacts("STABLE", 2, None)
    assert levels(list(judge_joiners("loans-worker-labels", nobody, somebody))) == [Level.WARNING]
    assert levels(list(judge_joiners("loans-worker-labels", nobody, nobody))) == [Level.OK]
    (calm,) = judge_joiners("loans-worker-labels", somebody, somebody)
    assert calm.text == "loans-worker-labels (joiners): 2 members, stable"


def test_a_group_that_may_not_be_joined() -> None:
    """A group without READ, and one that may not even be described, are errors."""
    assert levels(permissions({}, GroupFacts("EMPTY", 0, frozenset({"DESCRIBE"})))) == [Level.ERROR]
    assert levels(permissions({}, GroupFacts("DEAD", 0, None, allowed=False))) == [Level.ERROR]


def test_a_broker_that_does_not_say() -> None:
    """A broker that says nothing of permissions is not taken to permit everything."""
    (only,) = permissions({"loans": None})
    assert only.text == "the broker does not say what is permitted"


@pytest.mark.parametrize(
    ("apis", "release"), [(MODERN, "4.1"), ({0: 12, 28: 5}, "4.0"), ({28: 3}, "2.5"), ({28: 2}, None), ({}, None)]
)
def test_releases(apis: dict[int, int], release: str | None) -> None:
    """The release is told by the requests that a broker answers."""
    assert release_of(apis) == release


def cluster(
    apis: dict[int, int] | None = None, broker: dict[str, str] | None = None, **environment: str
) -> list[Level]:
    facts = ClusterFacts(["broker:9092"], broker or {}, MODERN if apis is None else apis)
    return levels(list(judge_cluster(facts, settings(**environment))))


def test_brokers_that_fit() -> None:
    """A broker of today with its default settings fits."""
    assert cluster() == [Level.OK]


def test_brokers_that_do_not_fit() -> None:
    """An old broker, a short limit of transactions, another range of sessions, and forgetful offsets are found."""
    assert cluster({28: 2}) == [Level.OK, Level.ERROR]
    assert cluster({0: 12, 28: 4}, WORKER_KAFKA__PROTOCOL="consumer") == [Level.OK, Level.ERROR]
    assert cluster(broker={"transaction.max.timeout.ms": "5000"}) == [Level.OK, Level.ERROR]
    assert cluster(broker={"group.min.session.timeout.ms": "10000"}) == [Level.OK, Level.ERROR]
    assert cluster(broker={"offsets.retention.minutes": "60"}) == [Level.OK, Level.WARNING]


@pytest.mark.parametrize(
    ("ahead", "level"), [(0.2, Level.OK), (-0.9, Level.OK), (3.0, Level.WARNING), (-45.0, Level.ERROR)]
)
def test_clocks(ahead: float, level: Level) -> None:
    """Clocks that differ by more than the probe took are a warning, by half a minute an error."""
    assert levels(list(judge_clock(Probed(created=True, seconds=0.5, ahead_seconds=ahead)))) == [level]


def test_clocks_that_are_not_compared() -> None:
    """A topic that keeps the producer's timestamps says nothing of the broker's clock."""
    assert list(judge_clock(Probed(created=False, seconds=0.5, ahead_seconds=None))) == []


def test_records_from_the_future() -> None:
    """A record dated beyond the skew is a warning; an empty topic is not judged."""
    assert levels(list(judge_newest("loans", 1_000_000, 1_000.0, 60))) == [Level.OK]
    assert levels(list(judge_newest("loans", 1_100_000, 1_000.0, 60))) == [Level.WARNING]
    assert list(judge_newest("loans", None, 1_000.0, 60)) == []


def test_records_that_would_be_refused() -> None:
    """Few are a warning, more than the limit an error, each with the command that shows them."""
    assert levels(list(judge_records("loans", Counter(), 0, 0.5))) == [Level.OK]
    assert levels(list(judge_records("loans", Counter(), 100, 0.5))) == [Level.OK]
    (few,) = judge_records("loans", Counter({"below_minimum": 2}), 100, 0.5)
    assert (few.level, few.fix) == (Level.WARNING, "`prediction-worker inspect --last 100 --only refused` shows them")
    assert levels(list(judge_records("loans", Counter({"malformed": 51}), 100, 0.5))) == [Level.ERROR]


def test_stopped_partitions() -> None:
    """A partition that a limit has stopped is an error that names `dlq resume`."""
    (only,) = judge_group("loans-worker", GroupFacts("STABLE", 2, None), [Stopped(3, 17, "600 of 1000 refused")])
    assert only.level is Level.ERROR
    assert "dlq resume" in only.fix
    (calm,) = judge_group("loans-worker", GroupFacts("STABLE", 2, None), [])
    assert calm.text == "loans-worker: 2 members, stable"


def test_a_free_port_and_a_taken_one() -> None:
    """A port that another program has is an error; a free one, and 0, are not."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        assert levels(list(judge_port("127.0.0.1", port))) == [Level.ERROR]
    assert levels(list(judge_port("127.0.0.1", port))) == [Level.OK]
    assert levels(list(judge_port("127.0.0.1", 0))) == [Level.OK]


class _Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"worker_ready 1\n")

    def log_message(self, *_: object) -> None: ...


def test_a_port_that_a_worker_has() -> None:
    """A worker that answers on the port is no error."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        (found,) = judge_port("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()
    assert found == Finding("port", Level.OK, f"a worker answers at 127.0.0.1:{server.server_port}")
