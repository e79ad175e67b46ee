"""Long blocks of numbers, which the record reader takes at once where they are plain."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.fuzz.bodies import varint
from tests.unit.avro_columnar.rig import doubted, faults, read, reader_of, record, values
from worker.avro.blocks import FEWEST_ITEMS
from worker.avro.faults import Fault
from worker.avro.plan_items import ENOUGH_LANES

MANY = 2 * FEWEST_ITEMS
LONGS = [0, -1, 63, 64, -65, 2**31, -(2**40), 2**62 - 1, -(2**62)] * MANY
INTS = [0, -1, 64, -65, 2**31 - 1, -(2**31)] * MANY


def vector(kind: str) -> dict[str, Any]:
    return record(("x", {"type": "array", "items": kind}), ("n", "int"))


def block(items: list[bytes]) -> bytes:
    return varint(len(items)) + b"".join(items)


def body(*blocks: bytes) -> bytes:
    return b"".join(blocks) + b"\x00" + varint(5)


@pytest.mark.parametrize(
    ("kind", "numbers"), [("long", LONGS), ("int", INTS), ("long", [2**63 - 1, -(2**63), 7] * MANY)]
)
def test_integers(kind: str, numbers: list[int]) -> None:
    """Numbers of any length, padded ones and those of ten bytes among them, in one block or in several."""
    items = [varint(number) for number in numbers]
    padded = [varint(number, 1) for number in numbers]
    sized = varint(-len(items)) + varint(len(b"".join(items))) + b"".join(items)
    reading = read(vector(kind), [body(block(items)), body(block(padded), block(items[:3])), body(sized, block(items))])
    assert values(reading, "x") == [numbers, numbers + numbers[:3], numbers + numbers]
    assert values(reading, "n") == [5, 5, 5]


@pytest.mark.parametrize(("kind", "code"), [("float", "<f"), ("double", "<d")])
def test_floats(kind: str, code: str) -> None:
    """Floats and doubles alike, promoted where the reader has the wider type."""
    numbers = [0.5, -3.25, 1e30] * MANY
    items = [struct.pack(code, number) for number in numbers]
    reading = read(vector(kind), [body(block(items)), body(block(items[:2]), block(items))], vector("double"))
    expected = [struct.unpack(code, item)[0] for item in items]
    assert values(reading, "x") == [expected, expected[:2] + expected]


@pytest.mark.parametrize(
    ("kind", "bad", "fault"),
    [
        ("int", body(block([varint(1)] * MANY + [varint(2**31)])), Fault.INT_RANGE),
        ("long", body(block([varint(1)] * MANY + [b"\x80" * 10 + b"\x01"])), Fault.LONG_VARINT),
        ("long", block([varint(1)] * MANY + [b"\x80"]), Fault.TRUNCATED),
        ("int", varint(MANY) + b"\x80" * MANY, Fault.LONG_VARINT),
        ("double", block([bytes(8)] * MANY)[:-1], Fault.TRUNCATED),
        ("float", varint(2**40) + bytes(4 * MANY), Fault.BLOCK),
        ("double", body(varint(-MANY) + varint(8 * MANY - 1) + bytes(8 * MANY)), Fault.BLOCK),
    ],
)
def test_bad_blocks(kind: str, bad: bytes, fault: Fault) -> None:
    """What is wrong with a long block is said as of a short one."""
    assert faults(vector(kind), [bad]) == [fault]


def test_long_vectors_of_integers_are_read_in_lockstep() -> None:
    """Given enough lanes, however many integers follow."""
    equal = body(block([varint(3), varint(300)] * MANY))
    assert doubted(reader_of(vector("int")), [equal] * ENOUGH_LANES) == 0
    assert doubted(reader_of(vector("int")), [equal] * (ENOUGH_LANES - 1)) == ENOUGH_LANES - 1
