"""Letters read back: what the worker wrote is what is read, in every dialect."""

import dataclasses
from datetime import UTC, datetime

import pytest

from worker.cli.dlq import since_ms
from worker.cli.dlq_views import as_json, hex_dump
from worker.cli.texts import printable
from worker.errors import ConfigurationError
from worker.kafka.letters import Letter, LetterFilter, letter_of, replayed_headers
from worker.pipeline.dead_letters import DIALECTS, REPLAYS, DeadLetterPolicy
from worker.records import Headers, Reason, Record, RecordBatch, Refusal, Refusals, Stage, TopicPartition

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def written(headers: Headers = (), dialect: str = "kafka", field: str | None = "delay") -> Record:
    """The dead-letter record that the worker makes of a refused one at events[2] offset 77."""
    record = Record("events", 2, 77, 1_000, b"key", b"secret-value", headers)
    refusal = Refusal(0, Stage.VALIDATE, Reason.BELOW_MINIMUM, "delay: is below minimum 0", field)
    policy = DeadLetterPolicy("events.dlq", "group", "1.2.3", "model 4", dialect)
    out = policy.letters(RecordBatch.of([record]), Refusals.of([refusal]))
    return Record("events.dlq", 2, 5, 2_000, out.keys[0], out.values[0], out.headers[0])


def letter(headers: Headers = (), dialect: str = "kafka", field: str | None = "delay") -> Letter:
    return letter_of(written(headers, dialect, field))


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_says_the_same(dialect: str) -> None:
    """What the worker writes about a refusal is read back whole, whichever names it uses."""
    found = letter(((("own"), b"1"),), dialect)
    assert found == Letter(
        partition=2,
        offset=5,
        timestamp_ms=2_000,
        origin=TopicPartition("events", 2),
        origin_offset=77,
        dialect=dialect,
        group="group",
        message="delay: is below minimum 0",
        stage="validate",
        reason="below_minimum",
        field="delay",
        worker_version="1.2.3",
        model_version="model 4",
        replays=0,
        key=b"key",
        value=b"secret-value",
        own_headers=(("own", b"1"),),
    )


def test_headers_of_another_dialect_belong_to_the_record() -> None:
    """A letter that was taken for an event keeps the headers that it came with, and they say nothing about it."""
    stranger = (("__connect.errors.topic", b"elsewhere"), ("__connect.errors.partition", b"9"))
    found = letter(stranger)
    assert found.origin == TopicPartition("events", 2)
    assert found.own_headers == stranger


def test_a_replay_carries_the_record_s_own_headers_alone() -> None:
    """A replayed record has its own headers in their order, and its count raised by one, and no error headers."""
    own = (("traceparent", b"t"), (REPLAYS, b"1"), ("twice", b"a"), ("twice", None))
    found = letter(own)
    assert found.replays == 1
    assert replayed_headers(found) == ((REPLAYS, b"2"), ("traceparent", b"t"), ("twice", b"a"), ("twice", None))


def test_headers_added_behind_ours_are_kept() -> None:
    """A header that something between the worker and us has appended goes back with the record."""
    record = written()
    found = letter_of(dataclasses.replace(record, headers=(*record.headers, ("mirror", b"m"))))
    assert found.own_headers == (("mirror", b"m"),)


@pytest.mark.parametrize("count", [b"", b"many", b"-4", None, "²".encode(), b"9" * 5_000])
def test_a_count_that_is_none_counts_as_no_replay(count: bytes | None) -> None:
    """Whatever stands in the guard's header, reading it does not fail, and the next replay writes a number."""
    found = letter(((REPLAYS, count),))
    assert found.replays == 0
    assert replayed_headers(found)[0] == (REPLAYS, b"1")


def test_the_highest_of_several_counts_holds() -> None:
    """The loop guard can't be lowered by a second header of its name."""
    assert letter(((REPLAYS, b"3"), (REPLAYS, b"0"))).replays == 3


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("__dlq.errors.topic", b"events"),),
        (("__dlq.errors.topic", b"events"), ("__dlq.errors.partition", b"x"), ("__dlq.errors.offset", b"1")),
        (("__dlq.errors.topic", b"\xff"), ("__dlq.errors.partition", None), ("__dlq.errors.offset", b"-1")),
    ],
)
def test_a_record_that_is_no_letter_has_no_origin(headers: Headers) -> None:
    """Anybody's record on the topic is read without an error, as one of unknown origin."""
    found = letter_of(Record("events.dlq", 0, 0, 0, None, None, headers))
    assert (found.origin, found.origin_offset) == (None, -1)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LetterFilter(), True),
        (LetterFilter(reason="below_minimum", stage="validate", field="delay", origin_partition=2), True),
        (LetterFilter(reason="above_maximum"), False),
        (LetterFilter(stage="decode"), False),
        (LetterFilter(field="dela"), False),
        (LetterFilter(origin_partition=0), False),
    ],
)
def test_a_filter_means_what_meets_all_of_it(wanted: LetterFilter, found: bool) -> None:
    """A letter passes when each criterion that is given equals what it says."""
    assert wanted.matches(letter()) is found


def test_a_wider_filter_covers_a_narrower_one() -> None:
    """Covering follows from the criteria, in one direction only."""
    assert LetterFilter().covers(LetterFilter(reason="malformed"))
    assert LetterFilter(stage="decode").covers(LetterFilter(stage="decode", field="a"))
    assert not LetterFilter(reason="malformed").covers(LetterFilter())
    assert not LetterFilter(origin_partition=0).covers(LetterFilter(origin_partition=1))


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("90s", datetime(2026, 3, 1, 11, 58, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 3, 1, 10, 0, tzinfo=UTC)),
        ("3d", datetime(2026, 2, 26, 12, 0, tzinfo=UTC)),
        ("2026-01-31T08:00", datetime(2026, 1, 31, 8, 0, tzinfo=UTC)),
        ("2026-01-31T08:00+02:00", datetime(2026, 1, 31, 6, 0, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, then: datetime) -> None:
    """An age counts back from now, a time without a zone is UTC."""
    assert since_ms(text, NOW) == int(then.timestamp() * 1_000)


@pytest.mark.parametrize("text", ["", "h", "2", "2w", "-2h", "yesterday", "99999999999d"])
def test_since_refuses_what_is_no_time(text: str) -> None:
    """A time that can't be understood is refused with examples, not taken for another."""
    with pytest.raises(ConfigurationError) as refused:
        since_ms(text, NOW)
    assert "2h" in (refused.value.hint or "")


def test_a_list_never_shows_values() -> None:
    """A listed letter holds neither value nor, unless asked for, key."""
    assert "secret-value" not in str(as_json(letter(), keys=True))
    assert "key" not in as_json(letter(), keys=False)
    assert "secret-value" not in repr(letter())


def test_control_characters_do_not_reach_a_terminal() -> None:
    """What a stranger wrote into a header can neither break a line nor steer the terminal."""
    assert printable("a\tb\n\x1b[31mc\u202e") == "a\\tb\\n\\x1b[31mc\\u202e"


def test_a_hex_dump_is_bounded() -> None:
    """A large value is shown by its first bytes, and by how many more there are."""
    assert hex_dump(b"AB\x00", 16) == [f"00000000  {'41 42 00':<47}  AB."]
    assert hex_dump(b"x" * 20, 16)[-1] == "... and 4 bytes more"
