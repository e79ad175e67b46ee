"""What is shown of an inspected record: nothing that was not asked for, and nothing that a terminal would act on."""

import json
from typing import Any

import pytest

from worker.cli.inspect_views import Inspected, Tally, View, as_json, cells, matches, summary, value_text
from worker.cli.verdicts import Prefix, Said, Verdict, Writer, prefix_of
from worker.kafka.letters import Letter
from worker.records import Reason, Record, Refusal, Stage, TopicPartition

RECORD = Record("payments", 3, 77, 1_700_000_000_123, b"secret-key", b"\x00\x00\x00\x00\x07secret-bytes")
GOOD = Verdict(
    Prefix("confluent", 7), Writer("bank.Payment", "another"), None, tombstone=False, values={"who": "secret-name"}
)
LOW = Refusal(0, Stage.VALIDATE, Reason.BELOW_MINIMUM, "card.limit: is below minimum 0", "card.limit")
LETTER = Letter(
    3, 77, 0, TopicPartition("events", 2), 9, "kafka", "g", "m", "decode", "malformed", "", "", "", 0, None, b"", ()
)


def verdict(**changes: Any) -> Verdict:
    fields = {"prefix": GOOD.prefix, "writer": GOOD.writer, "refusal": None, "tombstone": False, "values": GOOD.values}
    return Verdict(**fields | changes)


def row(one: Inspected, **view: bool) -> dict[str, str]:
    shown = View(**view)
    return dict(zip(shown.columns, cells(one, shown), strict=True))


def test_a_good_record() -> None:
    """Place, time, framing, writer schema and verdict each have a column."""
    assert row(Inspected(RECORD, GOOD)) == {
        "partition": "3",
        "offset": "77",
        "when": "2023-11-14T22:13:20.123Z",
        "framing": "confluent 7",
        "schema": "bank.Payment (another version)",
        "verdict": "ok",
        "field": "",
        "detail": "",
    }


def test_a_refused_record() -> None:
    """Stage, reason, field and rule say why."""
    shown = row(Inspected(RECORD, verdict(refusal=LOW)))
    assert (shown["verdict"], shown["field"]) == ("validate/below_minimum", "card.limit")
    assert shown["detail"] == "card.limit: is below minimum 0"


@pytest.mark.parametrize("values", [GOOD.values, None])
def test_keys_and_values_are_hidden(values: dict[str, Any] | None) -> None:
    """Without --values and --keys nothing of a record's content is shown, in lines or in JSON."""
    one = Inspected(RECORD, verdict(values=values))
    assert "secret" not in "".join(cells(one, View(model=True, letters=True)))
    assert b"secret".hex() not in json.dumps(as_json(one, View(model=True)))
    assert "secret" not in json.dumps(as_json(one, View(model=True)))
    assert row(one, keys=True)["key"] == "secret-key"


def test_a_table_is_narrow() -> None:
    """On a terminal the field has no column of its own, since the detail begins with it."""
    shown = row(Inspected(RECORD, verdict(refusal=LOW)), narrow=True)
    assert "field" not in shown
    assert shown["detail"].startswith("card.limit")


def test_values_are_named() -> None:
    """Decoded fields are shown by dotted name, with null as such and text in quotes."""
    values = {"id": "a b", "card.limit": None, "amount": 2.5, "ok": True}
    assert row(Inspected(RECORD, verdict(values=values)), values=True)["fields"] == (
        "id='a b' card.limit=null amount=2.5 ok=True"
    )


def test_bytes_stand_for_what_cannot_be_decoded() -> None:
    """With --values a record that can't be decoded is shown by its first bytes; in JSON by all of them."""
    long = Record("t", 0, 0, 0, None, bytes(range(40)))
    one = Inspected(long, verdict(values=None))
    shown = row(one, values=True)["fields"]
    assert shown.startswith("bytes 00 01 02")
    assert shown.endswith("1f and 8 bytes more")
    assert as_json(one, View(values=True))["bytes"] == bytes(range(40)).hex()


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\tb\nc", "\u202etxt", "\x9b31m"])
def test_no_control_character_gets_through(evil: str) -> None:
    """Whatever is in key, field or schema name, a cell is one line without control characters."""
    record = Record("t", 0, 0, 0, evil.encode(), b"")
    writer = Writer(evil, "another")
    shown = cells(Inspected(record, verdict(writer=writer, values={evil: evil})), View(keys=True, values=True))
    assert all(cell.isprintable() for cell in shown)


def test_long_text_is_cut_short() -> None:
    """Long text, bytes and arrays say how much there is instead of flooding the screen."""
    assert value_text("x" * 500) == f"'{'x' * 80}'… (500)"
    assert value_text(b"x" * 500).endswith("… (500)")
    assert len(value_text([0.123456789] * 500)) == 81
    assert value_text([1.5, None]) == "[1.5, null]"


def test_json_is_whole_and_valid() -> None:
    """JSON holds texts uncut; NaN, infinity and bytes, which JSON lacks, are texts."""
    values = {"long": "x" * 500, "nan": float("nan"), "low": -float("inf"), "raw": b"\xff\x00", "list": [1.0, None]}
    shown = as_json(Inspected(RECORD, verdict(values=values, said=Said(0.25, "fraud"))), View(values=True, model=True))
    read = json.loads(json.dumps(shown, allow_nan=False))
    assert read["values"] == {
        "long": "x" * 500,
        "nan": "NaN",
        "low": "-Infinity",
        "raw": "\xff\x00",
        "list": [1.0, None],
    }
    assert read["model"] == {"label": "fraud", "score": 0.25}
    assert read["schema"] == {"name": "bank.Payment", "role": "another"}
    assert (read["framing"], read["schema_id"], read["verdict"]) == ("confluent", 7, "ok")


def test_a_dead_letter_says_why_it_was_refused() -> None:
    """Of a dead letter, the reason of then stands beside the verdict of now."""
    one = Inspected(RECORD, GOOD, LETTER)
    assert row(one, letters=True)["refused"] == "decode/malformed from events[2]@9"
    assert as_json(one, View(letters=True))["refused"] == {
        "stage": "decode",
        "reason": "malformed",
        "origin": "events[2]@9",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00\x00\x00\x01\x00", Prefix("confluent", 256)),
        (b"\xc3\x01" + bytes(8), Prefix("single-object", "00" * 8)),
        (b"\xc3\x01" + bytes(7), Prefix("none")),
        (b"\x00\x00\x00\x01", Prefix("none")),
        (b"hello", Prefix("none")),
        (None, Prefix("none")),
    ],
)
def test_framing_is_told_by_the_first_bytes(value: bytes | None, expected: Prefix) -> None:
    """A Confluent id, a single-object fingerprint, or neither; raw when the settings say so."""
    assert prefix_of(value, (), raw=False) == expected
    assert prefix_of(value, (), raw=True) == Prefix("raw")


def test_a_schema_header_speaks_first() -> None:
    """A GUID in the schema header is shown as such, and what is none by its bytes."""
    guid = bytes(range(16))
    shown = Prefix("header", "00010203-0405-0607-0809-0a0b0c0d0e0f")
    assert prefix_of(b"body", (("other", None), ("__value_schema_id", b"\x01" + guid)), raw=False) == shown
    assert prefix_of(b"body", (("__value_schema_id", guid),), raw=False) == Prefix("header", guid.hex())
    assert prefix_of(b"body", (("__value_schema_id", None),), raw=False) == Prefix("header", "")


def test_filters() -> None:
    """``refused`` and ``good`` part the records, tombstones are neither, and a reason means its own only."""
    low, gone = verdict(refusal=LOW), verdict(tombstone=True, values=None)
    assert [matches(v, "refused", None) for v in (GOOD, low, gone)] == [False, True, False]
    assert [matches(v, "good", None) for v in (GOOD, low, gone)] == [True, False, False]
    assert [matches(v, None, "below_minimum") for v in (GOOD, low, gone)] == [False, True, False]
    assert not matches(low, None, "malformed")
    assert not matches(low, "good", "below_minimum")


def test_the_summary() -> None:
    """It counts all that went by, by reason, and says how much of it was shown."""
    tally = Tally()
    for one in (GOOD, verdict(refusal=LOW), verdict(refusal=LOW), verdict(tombstone=True)):
        tally.count(one)
    tally.shown = 2
    assert summary(tally, "payments") == [
        "4 records of payments: 1 ok, 1 tombstone, 2 refused",
        "  2 validate/below_minimum",
        "  2 shown",
    ]
    assert summary(Tally(), "payments") == ["no records of payments there"]
