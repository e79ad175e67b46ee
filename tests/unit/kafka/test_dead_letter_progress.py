"""The progress of replays: each letter once, whatever filters come in whatever order."""

import random

import pytest

from worker.errors import ConfigurationError
from worker.kafka.letters import Letter, LetterFilter
from worker.kafka.replay_progress import MAX_METADATA_BYTES, Pass, Progress
from worker.records import TopicPartition

REASONS, STAGES = ("malformed", "too_long", "not_finite"), ("decode", "validate")


def letter(offset: int, reason: str = "malformed", stage: str = "decode", replays: int = 0) -> Letter:
    origin = TopicPartition("events", 0)
    return Letter(0, offset, 0, origin, offset, "kafka", "g", "", stage, reason, "", "", "", replays, None, b"", ())


def test_one_reason_replayed_leaves_the_others() -> None:
    """After a replay of one reason, letters of another that stand before its end are still to come."""
    progress = Progress().after(Pass(LetterFilter(reason="malformed"), 3, 0, 10))
    assert progress.has(letter(4, "malformed"))
    assert not progress.has(letter(4, "too_long"))
    assert not progress.has(letter(10, "malformed"))


def test_guarded_letters_were_not_replayed() -> None:
    """What was left out for its count is replayed once the limit is raised."""
    progress = Progress().after(Pass(LetterFilter(), 3, 0, 10))
    assert progress.has(letter(4, replays=2))
    assert not progress.has(letter(4, replays=3))


def test_no_letter_twice_and_none_left_out() -> None:
    """Over random replays, the letters taken are exactly those meant and never taken before, read on from text."""
    for seed in range(300):
        chance = random.Random(seed)
        letters = [letter(i, chance.choice(REASONS), chance.choice(STAGES), chance.randrange(4)) for i in range(40)]
        progress, taken = Progress(), set[int]()
        for _ in range(chance.randrange(1, 8)):
            wanted = LetterFilter(chance.choice((None, *REASONS)), chance.choice((None, *STAGES)))
            limit, start, stop = chance.randrange(1, 4), chance.choice((0, 0, 13)), chance.randrange(1, 41)
            begin = progress.begin(Pass(wanted, limit, start, stop))
            meant = {one.offset for one in letters[start:stop] if wanted.matches(one) and one.replays < limit}
            walked = [one for one in letters[begin:stop] if wanted.matches(one) and one.replays < limit]
            replayed = {one.offset for one in walked if not progress.has(one)}
            assert replayed == meant - taken
            taken |= replayed
            if begin < stop:
                progress = progress.after(Pass(wanted, limit, begin, stop))
            progress = Progress.parse(progress.text(), progress.end())


def test_going_on_begins_behind_what_was_gone_through() -> None:
    """A replay of the same or a narrower filter doesn't read again what an earlier one went through."""
    progress = Progress().after(Pass(LetterFilter(stage="decode"), 3, 0, 10))
    narrower, wider = LetterFilter("malformed", "decode"), LetterFilter()
    assert progress.begin(Pass(narrower, 3, 0, 50)) == 10
    assert progress.begin(Pass(wider, 3, 0, 50)) == 0
    assert progress.begin(Pass(narrower, 4, 0, 50)) == 0


def test_going_on_is_remembered_as_one_pass() -> None:
    """Chunks of one replay do not fill the metadata up, and a replay of everything makes narrower ones moot."""
    progress = Progress().after(Pass(LetterFilter("malformed"), 3, 0, 10))
    for end in range(1, 100):
        progress = progress.after(Pass(LetterFilter(), 3, 0, end))
    assert progress.passes == (Pass(LetterFilter(), 3, 0, 99),)


def test_too_many_filters_are_refused_before_they_are_forgotten() -> None:
    """Progress that no longer fits beside an offset stops the replay, and says how to go on."""
    progress = Progress()
    for i in range(200):
        progress = progress.after(Pass(LetterFilter(field=f"field_{i}"), 3, 0, 10))
    with pytest.raises(ConfigurationError) as refused:
        progress.text()
    assert "--from-start" in (refused.value.hint or "")
    assert len(Progress(progress.passes[:30]).text()) < MAX_METADATA_BYTES


def test_an_offset_set_with_kafka_s_tools_is_taken() -> None:
    """Whoever sets the group's offset by hand has said from where on letters are to be replayed."""
    progress = Progress.parse("", 7)
    assert progress.has(letter(6))
    assert not progress.has(letter(7))
    assert Progress.parse("", -1001) == Progress() == Progress.parse("", 0)


@pytest.mark.parametrize("text", ["x", "[]", "{}", '{"v":2,"passes":[]}', '{"v":1,"passes":[{"colour":"red"}]}', "7"])
def test_foreign_metadata_stops_a_replay(text: str) -> None:
    """Progress that can't be read is not taken for none: everything would be replayed twice."""
    with pytest.raises(ConfigurationError):
        Progress.parse(text, 5)


def test_starting_over_forgets_what_it_covers() -> None:
    """Only the passes that the new filter covers are forgotten."""
    one, other = Pass(LetterFilter("malformed"), 3, 0, 9), Pass(LetterFilter("too_long"), 3, 0, 9)
    progress = Progress((one, other))
    assert progress.without(LetterFilter("malformed")).passes == (other,)
    assert progress.without(LetterFilter()).passes == ()
