"""Families 1 to 6: what comes in before any schema is looked at."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter

import fastavro
import pytest

from tests.component.bad_input.bed import (
    Bed,
    Good,
    Size,
    body_schema,
    confluent,
    double,
    event,
    record_of,
    varint,
    verdicts,
)
from tests.component.bad_input.conftest import MakeBed
from worker.avro.framing import SCHEMA_HEADER, UnknownSchema
from worker.avro.schema import RecordSchema, SchemaRefused
from worker.records import Headers

READER = body_schema("int")
BODY = varint(7) + double(5)
OTHER = record_of(("x", "int"), ("n", "double"), name="Refund")
GUID, OTHER_GUID = "89791762-2336-4186-9674-299b90a802e2", "00000000-0000-0000-0000-000000000001"


def good_of(bed: Bed) -> Good:
    return Good(bed.framed(BODY), 12)


def says(guid: str) -> Headers:
    return ((SCHEMA_HEADER, b"\x01" + bytes.fromhex(guid.replace("-", ""))),)


def container() -> bytes:
    """An Avro object container file of one sound record."""
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(READER), [{"x": 7, "n": 5.0}])
    return out.getvalue()


NO_AVRO = {
    "JSON": json.dumps({"x": 7, "n": 5.0}).encode(),
    "UTF-16": json.dumps({"x": 7}).encode("utf-16-be"),
    "protobuf": bytes.fromhex("08071100000000000014401a03616263"),
    "gzip": gzip.compress(BODY, mtime=0),
    "text": b"hello, world, this is no record",
    "container": container(),
    "spaces": b" " * 64,
}


def test_tombstones(bed: MakeBed, size: Size) -> None:
    """1: a null value is skipped and counted, with its offset committed."""
    on = bed(READER)
    assert verdicts(on.among(good_of(on), [None, event(None, key=b"k")], size)) == ["skipped"] * 2
    assert on.harness.observer.reports[0].tombstones == (2 if size == "few" else 4)


def test_tombstones_as_dead_letters(bed: MakeBed, size: Size) -> None:
    """1: by setting it is a dead letter instead, still null."""
    on = bed(READER, tombstones="dead-letter")
    assert verdicts(on.among(good_of(on), [None], size)) == ["framing/empty_value"]


@pytest.mark.parametrize("length", range(5))
@pytest.mark.parametrize("byte", [b"\0", b"\xc3", b"{"])
def test_shorter_than_any_framing(bed: MakeBed, size: Size, length: int, byte: bytes) -> None:
    """2: nothing, or up to four bytes, is a dead letter."""
    on = bed(READER)
    assert verdicts(on.among(good_of(on), [byte * length], size)) == ["framing/empty_value"]


def test_framing_alone(bed: MakeBed, size: Size) -> None:
    """2: a framing with nothing behind it is a dead letter, as is half of a long one."""
    on = bed(READER, writers={7: READER})
    bad = [confluent(7, b""), on.framed(b""), on.framed(b"")[:9]]
    assert verdicts(on.among(good_of(on), bad, size)) == ["decode/malformed"] * 2 + ["framing/unknown_framing"]


@pytest.mark.parametrize("magic", [1, 2, 9, 0x7F, 0x80, 0xC3, 0xFF])
def test_wrong_magic_byte(bed: MakeBed, size: Size, magic: int) -> None:
    """3: any other first byte than those of the known framings is a dead letter."""
    on = bed(READER, writers={7: READER})
    bad = bytes([magic]) + confluent(7, BODY)[1:]
    assert verdicts(on.among(good_of(on), [bad], size)) == ["framing/unknown_framing"]


@pytest.mark.parametrize("number", [0, -1, 2**31 - 1, -(2**31), 8, 7 << 8])
def test_unknown_schema_id(bed: MakeBed, size: Size, number: int) -> None:
    """3: an id that nobody knows is a dead letter, whatever the number."""
    on = bed(READER, writers={7: READER})
    assert verdicts(on.among(good_of(on), [confluent(number, BODY)], size)) == ["framing/unknown_schema"]


def test_unknown_fingerprint(bed: MakeBed, size: Size) -> None:
    """3: so is a fingerprint that nobody knows."""
    on = bed(READER)
    assert verdicts(on.among(good_of(on), [b"\xc3\x01" + bytes(8) + BODY], size)) == ["framing/unknown_schema"]


def test_unknown_ids_are_asked_for_once_a_batch(bed: MakeBed) -> None:
    """3: however many records carry an unknown id, whoever knows the schemas is asked once a batch."""
    on, asked = bed(READER), Counter[int | bytes]()
    schema = on.harness.schema

    def lookup(key: int | bytes) -> RecordSchema:
        asked[key] += 1
        if key != schema.fingerprint:
            raise UnknownSchema("unknown")
        return schema

    on.use_lookup(lookup)
    result = on.run([good_of(on).value, *[confluent(9, BODY)] * 100, *[confluent(8, BODY)] * 100])
    assert (len(result.predictions), len(result.dead_letters)) == (1, 200)
    assert asked == {9: 1, 8: 1, schema.fingerprint: 1}


def test_refused_schema(bed: MakeBed, size: Size) -> None:
    """3: the records of a schema that the gate refuses are dead letters, not those of the others."""
    on = bed(READER)
    schema = on.harness.schema

    def lookup(key: int | bytes) -> RecordSchema:
        if key == 9:
            raise SchemaRefused("record R contains itself")
        return schema

    on.use_lookup(lookup)
    assert verdicts(on.among(good_of(on), [confluent(9, BODY)], size)) == ["framing/schema_refused"]


def test_another_record_type(bed: MakeBed, size: Size) -> None:
    """4: a record of another name is a dead letter, although its bytes would do."""
    on = bed(READER, writers={7: READER, 8: OTHER})
    bad = [confluent(8, BODY), confluent(7, BODY)]
    assert verdicts(on.among(good_of(on), bad, size)) == ["decode/wrong_record_type", "predicted"]


def test_header_and_prefix(bed: MakeBed, size: Size) -> None:
    """5: a header and a prefix that name different schemas are a dead letter; one alone, or both agreeing, is read."""
    on = bed(READER, writers={7: READER, 8: OTHER}, guids={GUID: READER, OTHER_GUID: OTHER})
    bad = [
        event(confluent(8, BODY), headers=says(GUID)),
        event(confluent(7, BODY), headers=says(OTHER_GUID)),
        event(on.framed(BODY), headers=says(OTHER_GUID)),
        event(confluent(7, BODY), headers=says(GUID)),
        event(BODY, headers=says(GUID)),
    ]
    assert verdicts(on.among(good_of(on), bad, size)) == ["framing/schema_conflict"] * 3 + ["predicted"] * 2


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (says(OTHER_GUID), "framing/unknown_schema"),
        (((SCHEMA_HEADER, None),), "framing/unknown_framing"),
        (((SCHEMA_HEADER, b"\x01short"),), "framing/unknown_framing"),
        ((*says(GUID), *says(OTHER_GUID)), "framing/schema_conflict"),
    ],
)
def test_header_that_names_no_schema(bed: MakeBed, size: Size, headers: Headers, expected: str) -> None:
    """5: a header that names no known schema, or two, is a dead letter, whatever the prefix says."""
    on = bed(READER, writers={7: READER}, guids={GUID: READER})
    assert verdicts(on.among(good_of(on), [event(confluent(7, BODY), headers=headers)], size)) == [expected]


@pytest.mark.parametrize("kind", NO_AVRO)
def test_no_avro(bed: MakeBed, size: Size, kind: str) -> None:
    """6: JSON, protobuf, gzip, text and container files are dead letters."""
    on = bed(READER)
    expected = "framing/unknown_schema" if kind == "UTF-16" else "framing/unknown_framing"
    assert verdicts(on.among(good_of(on), [NO_AVRO[kind]], size)) == [expected]


@pytest.mark.parametrize("kind", NO_AVRO)
def test_no_avro_in_a_raw_topic(bed: MakeBed, size: Size, kind: str) -> None:
    """6: without framing, too, since a record must end where its bytes do."""
    on = bed(READER, framing="raw")
    assert verdicts(on.among(Good(BODY, 12), [NO_AVRO[kind]], size))[0] in ("decode/malformed", "decode/trailing_bytes")
