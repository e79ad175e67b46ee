"""Topics as they are, and what the doctor says of them."""

import dataclasses

import pytest

from worker.doctor import Finding, Level
from worker.doctor.topics import Process, judge_topics, wanted_topics
from worker.kafka.facts import TopicFacts
from worker.kafka.topics import LETTER_ROOM_BYTES
from worker.settings import Topics

TOPICS = Topics(input="loans")
ROOM = 1_000_000
SOUND = {
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "min.insync.replicas": "2",
    "max.message.bytes": str(ROOM + LETTER_ROOM_BYTES),
}


def facts(name: str, **changed: object) -> TopicFacts:
    found = TopicFacts(name, 6, 3, 0, 0, dict(SOUND), None)
    return dataclasses.replace(found, **changed)  # type: ignore[arg-type]  # each test names fields of it


@pytest.fixture
def there() -> dict[str, TopicFacts | None]:
    """Everything as it should be."""
    names = [topic.name for topic in wanted_topics(TOPICS, drift=True)]
    found: dict[str, TopicFacts | None] = {name: facts(name) for name in names}
    found["loans"] = facts("loans", settings=SOUND | {"max.message.bytes": str(ROOM)})
    found["loans.drift-state"] = facts("loans.drift-state", settings=SOUND | {"cleanup.policy": "compact"})
    return found


def judged(there: dict[str, TopicFacts | None], brokers: int = 3) -> list[Finding]:
    return list(judge_topics(wanted_topics(TOPICS, drift=True), there, brokers))


def worst(there: dict[str, TopicFacts | None], brokers: int = 3) -> tuple[Level, str]:
    """The one finding that is not fine; it must come with a fix."""
    (only,) = (finding for finding in judged(there, brokers) if finding.level is not Level.OK)
    assert only.fix
    return only.level, only.text


def test_sound_topics(there: dict[str, TopicFacts | None]) -> None:
    """Sound topics are one line each, with what they are."""
    found = judged(there)
    assert [finding.level for finding in found] == [Level.OK] * 7
    assert (
        found[0].text == "loans (input): 6 partitions, 3 replicas (2 in sync), kept 7 days, records to 1,000,000 bytes"
    )
    assert "compacted" in found[-1].text


def test_a_missing_topic(there: dict[str, TopicFacts | None]) -> None:
    """A topic of the worker that is missing is an error, one of the monitor's alone a warning."""
    del there["loans.dlq"]
    assert worst(there) == (Level.ERROR, "loans.dlq (dead letters) does not exist, and the worker needs it")
    there["loans.dlq"] = facts("loans.dlq")
    del there["loans.drift-alerts"]
    assert worst(there) == (Level.WARNING, "loans.drift-alerts (drift alerts) does not exist, and the monitor needs it")


def test_too_few_partitions(there: dict[str, TopicFacts | None]) -> None:
    """An output with fewer partitions than the input is an error; a drift topic may have one."""
    there["loans.drift-sketches"] = facts("loans.drift-sketches", partitions=1)
    there["loans.predictions"] = facts("loans.predictions", partitions=5)
    assert worst(there) == (Level.ERROR, "loans.predictions has 5 partitions, fewer than the input's 6")


@pytest.mark.parametrize(
    ("changed", "level", "text"),
    [
        ({"offline": 2}, Level.ERROR, "2 of 6 partitions have no leader"),
        ({"behind": 1}, Level.WARNING, "not in sync"),
        ({"replication": 1, "settings": SOUND | {"min.insync.replicas": "1"}}, Level.WARNING, "one replica"),
        ({"settings": SOUND | {"min.insync.replicas": "4"}}, Level.ERROR, "nothing can be written"),
        ({"settings": SOUND | {"min.insync.replicas": "3"}}, Level.WARNING, "one of its 3 brokers down"),
        ({"settings": SOUND | {"cleanup.policy": "compact"}}, Level.WARNING, "older ones vanish"),
        ({"settings": SOUND | {"retention.ms": "3600000"}}, Level.WARNING, "deleted after 1.0 h"),
        ({"settings": None}, Level.WARNING, "may not be read"),
    ],
)
def test_what_is_wrong_with_a_topic(
    there: dict[str, TopicFacts | None], changed: dict[str, object], level: Level, text: str
) -> None:
    """Each way in which a topic is unsound is found, with its level and a fix."""
    there["loans.predictions"] = facts("loans.predictions", **changed)
    found_level, found_text = worst(there)
    assert found_level is level
    assert text in found_text


def test_a_single_broker_has_single_replicas(there: dict[str, TopicFacts | None]) -> None:
    """One replica is nothing to warn of where there is one broker."""
    alone = {
        name: facts(name, replication=1, settings={**(found.settings or {}), "min.insync.replicas": "1"})
        for name, found in there.items()
        if found
    }
    assert {finding.level for finding in judged(dict(alone), 1)} == {Level.OK}


def test_state_that_is_deleted(there: dict[str, TopicFacts | None]) -> None:
    """A state topic that is not compacted is an error."""
    there["loans.drift-state"] = facts("loans.drift-state")
    assert worst(there)[0] is Level.ERROR


def test_room_for_dead_letters(there: dict[str, TopicFacts | None]) -> None:
    """A dead letter of the largest record must fit, and the fix names the size."""
    there["loans.dlq"] = facts("loans.dlq", settings=SOUND | {"max.message.bytes": str(ROOM)})
    (only,) = (finding for finding in judged(there) if finding.level is Level.WARNING)
    assert f"max.message.bytes={ROOM + LETTER_ROOM_BYTES}" in only.fix


def test_without_drift() -> None:
    """A worker that does not count for drift needs three topics."""
    assert [topic.name for topic in wanted_topics(TOPICS, drift=False)] == ["loans", "loans.predictions", "loans.dlq"]


KEPT_SECONDS = 8 * 86_400


@pytest.fixture
def labelled(there: dict[str, TopicFacts | None]) -> dict[str, TopicFacts | None]:
    """With the topics for labels, and predictions that are kept for as long as a joiner needs."""
    ample = SOUND | {"retention.ms": str(KEPT_SECONDS * 1_000)}
    for name in ("loans.predictions", "loans.labels"):
        there[name] = facts(name, settings=ample)
    there["loans.quality-reports"] = facts("loans.quality-reports", partitions=1)
    return there


def worst_of_labels(there: dict[str, TopicFacts | None], *started: Process) -> tuple[Level, str]:
    wanted = wanted_topics(TOPICS, drift=True, labels_kept_seconds=KEPT_SECONDS)
    found = list(judge_topics(wanted, there, 3, frozenset(started)))
    assert len(found) == 9
    (only,) = (finding for finding in found if finding.level is not Level.OK)
    assert only.fix
    return only.level, only.text


def test_labels_need_as_many_partitions(labelled: dict[str, TopicFacts | None]) -> None:
    """More partitions than the input's are as wrong as fewer: an error where `run` starts the joiner."""
    labelled["loans.labels"] = dataclasses.replace(labelled["loans.labels"] or facts(""), partitions=7)
    level, text = worst_of_labels(labelled)
    assert level is Level.WARNING
    assert text.startswith("loans.labels has 7 partitions, the input 6")
    assert worst_of_labels(labelled, "joiner")[0] is Level.ERROR


def test_missing_topics_for_labels(labelled: dict[str, TopicFacts | None]) -> None:
    """Whoever needs a topic is named; what `run` starts beside the workers makes it an error."""
    del labelled["loans.labels"]
    told = "loans.labels (labels) does not exist, and the joiner needs it"
    assert worst_of_labels(labelled) == (Level.WARNING, told)
    assert worst_of_labels(labelled, "joiner") == (Level.ERROR, told)
    labelled["loans.labels"] = labelled["loans.predictions"]
    del labelled["loans.quality-reports"]
    told = "loans.quality-reports (quality reports) does not exist, and the monitor needs it"
    assert worst_of_labels(labelled, "joiner") == (Level.WARNING, told)
    assert worst_of_labels(labelled, "monitor") == (Level.ERROR, told)


def test_predictions_are_kept_for_the_labels(labelled: dict[str, TopicFacts | None]) -> None:
    """Predictions that are deleted before their labels may come are a warning, in hours."""
    labelled["loans.predictions"] = facts("loans.predictions")
    level, text = worst_of_labels(labelled, "joiner")
    assert level is Level.WARNING
    assert "deleted after 168.0 h, and the joiner needs them for 192.0 h" in text
