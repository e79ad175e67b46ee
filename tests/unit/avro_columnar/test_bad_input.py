"""The families of bad input that decoding must refuse, each beside sound neighbours; numbers as in the families' list."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import numpy as np
import pytest

from tests.fuzz.bodies import varint
from tests.unit.avro_columnar.rig import faults, read, reader_of, record, values, written
from worker.avro.faults import Fault
from worker.avro.gate import gate_writer
from worker.avro.schema import SchemaRefused
from worker.records import Reason, Slices

MIXED = record(
    ("id", "string"),
    ("at", {"type": "long", "logicalType": "timestamp-millis"}),
    ("flag", "boolean"),
    ("count", "int"),
    ("ratio", "double"),
    ("maybe", ["null", "double"]),
    ("word", ["string", "null"]),
    ("kind", {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}),
    ("code", {"type": "fixed", "name": "Code", "size": 3}),
    ("raw", "bytes"),
)
VALUES = {
    "id": "UA-1545",
    "at": 1_357_034_400_000,
    "flag": True,
    "count": -7,
    "ratio": 0.25,
    "maybe": 1.5,
    "word": "žlutý",
    "kind": "B",
    "code": b"EWR",
    "raw": b"\xff\x00",
}
SOUND = written(json.loads(json.dumps(MIXED).replace('"logicalType"', '"was"')), VALUES)


def only(kind: Any, *bodies: bytes, sound: bytes) -> list[Fault]:
    """The faults of ``bodies`` of a one-field record between sound neighbours, which must stay sound."""
    found = faults(record(("x", kind)), [sound, *(item for body in bodies for item in (body, sound))])
    assert set(found[::2]) == {Fault.NONE}
    return found[1::2]


def test_truncated_at_every_byte() -> None:
    """7: cut anywhere, a record is refused and its neighbours are read."""
    cut = [SOUND[:i] for i in range(len(SOUND))]
    reading = read(MIXED, [SOUND, *cut, SOUND])
    assert reading.good.tolist() == [0, len(cut) + 1]
    assert values(reading, "word")[0] == values(reading, "word")[-1] == "žlutý"


def test_trailing_bytes() -> None:
    """8: a byte or a megabyte after the record, or a second record, refuse it."""
    found = faults(MIXED, [SOUND + b"\0", SOUND, SOUND + bytes(1_000_000), SOUND + SOUND])
    assert found == [Fault.TRAILING, Fault.NONE, Fault.TRAILING, Fault.TRAILING]
    (refusal,) = read(MIXED, [SOUND + b"\0\1"]).refusals
    assert (refusal.reason, refusal.detail, refusal.field) == (Reason.TRAILING_BYTES, "2 bytes follow the record", None)


def test_every_bit_flip() -> None:
    """9: with any one bit flipped both readers agree, and the neighbours are read."""
    whole = int.from_bytes(SOUND, "little")
    flipped = [(whole ^ (1 << bit)).to_bytes(len(SOUND), "little") for bit in range(8 * len(SOUND))]
    reading = read(MIXED, [SOUND, *flipped, SOUND])
    assert {0, len(flipped) + 1} <= set(reading.good.tolist())
    assert 50 < len(reading.refusals) < len(flipped)


def test_padded_varints_are_read() -> None:
    """10: a number padded with zeros means what it means, wherever it stands."""
    padded = [varint(5, 1), varint(5, 4), varint(-1, 8)]
    assert values(read(record(("x", "long")), padded), "x") == [5, 5, -1]
    assert values(read(record(("x", ["null", "double"])), [b"\x82\x00" + struct.pack("<d", 2.5)]), "x") == [2.5]
    assert values(read(record(("x", "string")), [b"\x84\x00ab"]), "x") == ["ab"]


def test_varints_that_are_too_long() -> None:
    """11: eleven bytes, a megabyte of them, or ten that exceed 64 bits are refused."""
    bodies = [b"\x80" * 10 + b"\x01", b"\x80" * 1_000_000, b"\xff" * 9 + b"\x02", b"\x80" * 10]
    assert only("long", *bodies, sound=b"\x02") == [Fault.LONG_VARINT] * 4
    assert only("string", b"\x80" * 10 + b"\x01", sound=b"\x02a") == [Fault.LONG_VARINT]


def test_int_outside_32_bits() -> None:
    """12: the limits of an int are read, one beyond is refused."""
    reading = read(record(("x", "int")), [varint(2**31 - 1), varint(-(2**31)), varint(2**31), varint(-(2**31) - 1)])
    assert values(reading, "x")[:2] == [2**31 - 1, -(2**31)]
    assert reading.fault[reading.refusals.rows].tolist() == [Fault.INT_RANGE] * 2


@pytest.mark.parametrize(
    "number", [2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1, 2**55, 2**56 - 1, 2**56, -(2**62), 64]
)
def test_long_at_its_limits(number: int) -> None:
    """13: every long is read exactly, however many bytes it takes."""
    assert values(read(record(("x", "long")), [varint(number), varint(1)]), "x") == [number, 1]


@pytest.mark.parametrize("length", [2**32, 2**40, 2**62, 2**63 - 1, -1, -(2**63), 5])
@pytest.mark.parametrize("kind", ["string", "bytes"])
def test_lying_lengths(kind: str, length: int) -> None:
    """14: a length beyond the record or below zero is refused, although the buffer goes on after the record."""
    assert only(kind, varint(length) + b"ab", sound=b"\x0eneighbr") == [Fault.LENGTH]


@pytest.mark.parametrize("kind", ["string", "bytes"])
def test_negative_lengths_that_would_fit(kind: str) -> None:
    """14: a length below zero is refused even where its bits, read as another length, would fit the record."""
    assert only(kind, b"\x05ab", b"\x01", sound=b"\x04ab") == [Fault.LENGTH] * 2
    bodies = [b"\x05ab", varint(-100), varint(-(2**63)), varint(-101) + bytes(100)]
    assert only(kind, *bodies, sound=b"\x04ab") == [Fault.LENGTH] * 4


def test_lying_lengths_take_no_memory() -> None:
    """14: a batch in which every record claims the whole buffer is refused in the time of its bytes."""
    bodies = [varint(10_000_000) + b"\xff" * 2_000 for _ in range(2_000)]
    batch = Slices.of(bodies)
    reader = reader_of(record(("x", "string")))
    started = time.thread_time()
    reading = reader.read_in_lockstep(batch.buffer, batch.start, batch.end)
    assert len(reading.refusals) == 2_000
    assert time.thread_time() - started < 2


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82", b"a" * 70 + b"\x80", b"\xf4\x90\x80\x80"]
)
def test_invalid_utf8(text: bytes) -> None:
    """16: invalid, overlong, cut and surrogate sequences are refused in strings, in bytes they are bytes."""
    body = varint(len(text)) + text
    assert only("string", body, sound="\x0cžluť".encode()) == [Fault.UTF8]
    assert only("bytes", body, sound=b"\x02a") == [Fault.NONE]
    skipped = record(("y", "int"))
    assert faults(record(("x", "string"), ("y", "int")), [body + b"\x02"], skipped) == [Fault.UTF8]


@pytest.mark.parametrize("text", ["a\0b", "\u202egnp", "k" * 100_000, "e\u0301", "\U0010ffff", ""])
def test_unusual_text_is_read(text: str) -> None:
    """17: NUL, right-to-left, very long and unnormalised texts come out as they went in."""
    assert values(read(record(("x", "string")), [varint(len(text.encode())) + text.encode(), b"\x02a"]), "x") == [
        text,
        "a",
    ]


@pytest.mark.parametrize("items", ["int", "double", "string", {"type": "array", "items": "int"}])
@pytest.mark.parametrize(
    "body", [varint(2**40), varint(-(2**63)), varint(1), b"\x02\x02", varint(-(2**40)) + varint(9)]
)
def test_lying_arrays(items: Any, body: bytes) -> None:
    """18: an array that announces more than the record holds, or does not end, is refused, skipped or read."""
    schema = record(("x", {"type": "array", "items": items}), ("y", "int"))
    assert faults(schema, [b"\x00\x02", body, b"\x00\x02"], record(("y", "int")))[1] is not Fault.NONE
    if items in ("int", "double"):
        assert faults(schema, [body])[0] is not Fault.NONE


def test_lying_vectors_among_equal_ones() -> None:
    """18: a vector that has the others' count and not their items, or goes on in another block, is not theirs."""
    doubles = record(("x", {"type": "array", "items": "double"}))
    good = varint(3) + bytes(24) + b"\x00"
    assert faults(doubles, [good, varint(3) + b"\x00", good, good]) == [0, Fault.BLOCK, 0, 0]
    ints = record(("x", {"type": "array", "items": "int"}), ("y", "int"))
    good = b"\x02\x02\x00\x04"
    assert faults(ints, [good, b"\x02\x02\x02\x04", good, good]) == [0, Fault.TRUNCATED, 0, 0]


@pytest.mark.parametrize(
    "items", ["null", record(name="Empty"), {"type": "fixed", "name": "F", "size": 0}, record(("n", "null"), name="N")]
)
def test_items_of_no_bytes(items: Any) -> None:
    """19: the schema is refused, so no six bytes can announce a billion items."""
    for container in ({"type": "array", "items": items}, {"type": "map", "values": items}):
        with pytest.raises(SchemaRefused, match="no bytes"):
            gate_writer(json.dumps(record(("x", container))))


def test_blocks_with_sizes() -> None:
    """20: a block that states its size is read when the size is right, and refused when it is not."""
    right, wrong = varint(-2) + varint(2) + b"\x02\x04\x00", varint(-2) + varint(3) + b"\x02\x04\x00"
    negative = varint(-2) + varint(-2) + b"\x02\x04\x00"
    reading = read(record(("x", {"type": "array", "items": "long"})), [right, wrong, b"\x04\x02\x04\x00", negative])
    assert reading.refusals.rows.tolist() == [1, 3]
    assert values(reading, "x")[0] == values(reading, "x")[2] == [1, 2]


def test_maps() -> None:
    """21: a skipped map may repeat a key; one that announces too much is refused."""
    schema, wanted = record(("x", {"type": "map", "values": "int"}), ("y", "int")), record(("y", "int"))
    double = b"\x04\x02a\x02\x02a\x04\x00\x0a"
    assert values(read(schema, [double], wanted), "y") == [5]
    assert faults(schema, [varint(2**50) + b"\x02a\x02", b"\x02\x02\xff\x02\x00\x0a"], wanted) == [
        Fault.BLOCK,
        Fault.UTF8,
    ]


@pytest.mark.parametrize("index", [2, 63, 64, -1, -2, 2**40, -(2**63)])
def test_branches_and_symbols_out_of_range(index: int) -> None:
    """22: an index of n or more, or below zero, is refused for unions and enums alike."""
    number = struct.pack("<d", 1.0)
    assert only(["null", "double"], varint(index) + number, sound=b"\x02" + number) == [Fault.BRANCH]
    assert only(["string", "null"], varint(index) + b"\x02a", sound=b"\x00\x02a") == [Fault.BRANCH]
    for union in (["null", "double"], ["double", "null"], ["string", "null"], ["null", "string"]):
        sound = varint(union.index("null"))
        assert only(union, varint(index), sound=sound) == [Fault.BRANCH]
    kind = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
    assert only(kind, varint(index), sound=b"\x02") == [Fault.SYMBOL]
    assert faults(record(("x", kind), ("y", "int")), [varint(index) + b"\x02"], record(("y", "int"))) == [Fault.SYMBOL]


@pytest.mark.parametrize("byte", [2, 3, 0x80, 255])
def test_booleans_of_other_bytes(byte: int) -> None:
    """23: only 0 and 1 are booleans, wanted or skipped."""
    assert only("boolean", bytes([byte]), sound=b"\x01") == [Fault.BOOLEAN]
    schema = record(("x", "boolean"), ("y", "int"))
    assert faults(schema, [bytes([byte]) + b"\x02"], record(("y", "int"))) == [Fault.BOOLEAN]


def test_fixed_too_short() -> None:
    """24: a fixed that the record does not hold whole is refused, although the buffer goes on."""
    assert only({"type": "fixed", "name": "F", "size": 4}, b"abc", sound=b"abcd") == [Fault.LENGTH]


def test_not_a_number_is_read() -> None:
    """25: NaN and infinities are values; whether they are wanted is for validation to say."""
    bodies = [struct.pack("<d", x) for x in (float("nan"), float("inf"))] + [b"\x01\x00\x00\x00\x00\x00\xf0\x7f"]
    assert repr(values(read(record(("x", "double")), bodies), "x")) == "[nan, inf, nan]"
    for target in ("float", "double"):
        signalling = read(record(("x", "float")), [b"\x01\x00\x80\x7f", b"\x00\x00\x80\xff"], record(("x", target)))
        assert repr(values(signalling, "x")) == "[nan, -inf]"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, 253_402_300_799_999, 253_402_300_800_000),
        ({"type": "long", "logicalType": "timestamp-millis"}, -62_135_596_800_000, -(2**62)),
        ({"type": "long", "logicalType": "timestamp-micros"}, 253_402_300_799_999_999, 2**62),
        ({"type": "int", "logicalType": "date"}, 2_932_896, 2**31 - 1),
        ({"type": "int", "logicalType": "time-millis"}, 86_399_999, 86_400_000),
        ({"type": "long", "logicalType": "time-micros"}, 0, -1),
    ],
)
def test_times_that_no_calendar_has(kind: Any, good: int, bad: int) -> None:
    """32: a time outside the years 1 to 9999, or a clock's day, is refused."""
    assert only(kind, varint(good), varint(bad), sound=varint(7)) == [Fault.NONE, Fault.VALUE]


def test_decimals() -> None:
    """32: decimals are the nearest float64; empty ones and those beyond their precision are refused, quickly."""
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}
    numbers = [
        b"\x01\x00",
        b"\xff",
        b"\x00" * 11 + b"\x05",
        (10**29).to_bytes(13, "big"),
        (2**53 + 1).to_bytes(8, "big"),
    ]
    reading = read(record(("x", kind)), [varint(len(number)) + number for number in numbers])
    assert values(reading, "x") == [2.56, -0.01, 0.05, 1e27, (2**53 + 1) / 100]
    started = time.thread_time()
    wrong = [b"\x00", varint(13) + b"\x7f" * 13, varint(100_000) + b"\x01" * 100_000]
    assert only(kind, *wrong, sound=b"\x02\x01") == [Fault.VALUE] * 3
    assert time.thread_time() - started < 1
    fixed = {"type": "fixed", "name": "D", "size": 3, "logicalType": "decimal", "precision": 4, "scale": 1}
    assert values(read(record(("x", fixed)), [b"\x00\x00\x7b", b"\xff\xff\xff"]), "x") == [12.3, -0.1]
    assert only(fixed, b"\x01\x00\x00", sound=b"\x00\x00\x01") == [Fault.VALUE]


def test_uuids() -> None:
    """32: a uuid has its 36 characters, and nothing else will do."""
    good = b"123e4567-e89b-12d3-a456-42661417400F"
    kind = {"type": "string", "logicalType": "uuid"}
    wrong = [b"123e4567e89b12d3a45642661417400f", good[:-1] + b"g", good + b"0", b""]
    assert only(kind, *[varint(len(w)) + w for w in wrong], sound=varint(36) + good) == [Fault.VALUE] * 4


def test_a_refusal_names_the_field_and_no_value() -> None:
    """What is said of a refused record is its field and the rule, in the words of the dead letter."""
    schema = record(("deep", record(("secret", "string"), name="Deep")))
    (refusal,) = read(schema, [b"\x06ab\xff"]).refusals.among(np.array([9]))
    assert (refusal.row, refusal.field, refusal.reason) == (9, "deep.secret", Reason.MALFORMED)
    assert refusal.detail == "deep.secret: a string is not valid UTF-8"
