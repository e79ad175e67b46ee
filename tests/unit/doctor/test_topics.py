"""Topics as they are, and what the doctor says of them."""

import dataclasses

import pytest

from worker.doctor import Finding, Level
from worker.doctor.topics import judge_topics, wanted_topics
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
