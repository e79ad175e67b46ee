"""Families 18, 20 and 21: arrays and maps, which a record may carry beside the features."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.bad_input.bed import Good, Schema, Size, confluent, double, record_of, text, varint, verdicts
from tests.component.bad_input.conftest import MakeBed

READER = record_of(("n", "double"))
N = double(5)
MALFORMED = "decode/malformed"


def writer_of(extra: Any) -> Schema:
    return record_of(("x", extra), ("n", "double"))


def judged(bed: MakeBed, size: Size, extra: Any, bodies: list[bytes]) -> list[str]:
    """Of records whose writer has one more field than the reader, beside others without anything in it."""
    on = bed(READER, writers={7: writer_of(extra)})
    good = Good(confluent(7, varint(0) + N), 5)
    return verdicts(on.among(good, [confluent(7, body + N) for body in bodies], size))


@pytest.mark.parametrize("items", ["int", "double", "string", {"type": "array", "items": "int"}], ids=str)
def test_lying_arrays(bed: MakeBed, size: Size, items: Any) -> None:
    """18: an array that announces more than the record holds, or does not end, is a dead letter."""
    lying = [varint(2**40), varint(2**62), varint(-(2**63)), varint(-(2**40)) + varint(9), varint(9)]
    endless = [varint(1) + item for item in (varint(1), text(b"a" * 20))]
    found = judged(bed, size, {"type": "array", "items": items}, lying + endless)
    assert set(found) <= {MALFORMED, "decode/trailing_bytes"}


def test_blocks_with_sizes(bed: MakeBed, size: Size) -> None:
    """20: a block that states its size is read where the size is right, and a dead letter where it is not."""
    right = varint(-2) + varint(2) + b"\x02\x04\x00"
    wrong = [varint(-2) + varint(stated) + b"\x02\x04\x00" for stated in (0, 1, 3, -2, 2**40, -(2**63))]
    found = judged(bed, size, {"type": "array", "items": "long"}, [right, *wrong])
    assert found == ["predicted"] + [MALFORMED] * len(wrong)


def test_maps(bed: MakeBed, size: Size) -> None:
    """21: a map that is skipped may repeat a key; one that announces too much, or has a bad key, is a dead letter."""
    doubled = b"\x04\x02a\x02\x02a\x04\x00"
    wrong = [varint(2**50) + b"\x02a\x02", b"\x02\x02\xff\x02\x00", varint(1) + varint(-1) + b"\x02\x00"]
    found = judged(bed, size, {"type": "map", "values": "int"}, [doubled, *wrong])
    assert found == ["predicted"] + [MALFORMED] * len(wrong)
