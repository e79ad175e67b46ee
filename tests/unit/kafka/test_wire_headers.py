"""Headers as they stand in a fetched record."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.native.wire_headers import MOST_HEADERS, parsed
from worker.records import HeaderColumns, Headers

NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=200)
OWN = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=200)), min_size=1, max_size=5)


def varint(number: int) -> bytes:
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def block(headers: Headers) -> bytes:
    written = varint(len(headers))
    for name, value in headers:
        written += varint(len(name.encode())) + name.encode()
        written += varint(-1) if value is None else varint(len(value)) + value
    return written


def read(blocks: list[bytes]) -> HeaderColumns | None:
    """Of rows 0, 10, 20, …; some bytes lie between the blocks."""
    end = np.cumsum([3 + len(one) for one in blocks], dtype=np.int64)
    start = end - np.array([len(one) for one in blocks], np.int64)
    return parsed(b"".join(b"\xff\xff\xff" + one for one in blocks), start, end, 10 * np.arange(len(blocks)))


@given(st.lists(OWN.map(tuple), min_size=1, max_size=6))
def test_parsed(rows: list[Headers]) -> None:
    """Every row has its own headers, in their order."""
    found = read([block(headers) for headers in rows])
    assert found is not None
    assert dict(found) == {10 * i: headers for i, headers in enumerate(rows)}


@pytest.mark.parametrize(
    "odd",
    [
        varint(0),
        varint(-1),
        block((("n", b"v"),))[:-1],
        block((("n", b"v"),)) + b"\x00",
        varint(2) + block((("n", b"v"),))[1:],
        varint(1) + varint(-3) + b"nnn",
        varint(1) + varint(2**40) + b"nnn",
        varint(1) + varint(1) + b"n" + varint(-2),
        varint(1) + varint(1) + b"n" + varint(9) + b"v",
        block((("é", b"v"),)),
        block((("n\0m", b"v"),)),
        block((("n", b"v"),) * (MOST_HEADERS + 1)),
        b"\x80\x80\x80\x80\x80\x80\x80",
    ],
)
def test_what_is_not_plain(odd: bytes) -> None:
    """One block that is not plain, and nothing is claimed of any."""
    plain = block((("n", b"v"),))
    assert read([plain, odd, plain]) is None


@given(st.lists(st.binary(min_size=2, max_size=40), min_size=1, max_size=5))
def test_any_bytes(blocks: list[bytes]) -> None:
    """Whatever is read lies within its own block."""
    found = read(blocks)
    for row, headers in (found or {}).items():
        assert sum(len(name) + len(value or b"") for name, value in headers) < len(blocks[row // 10])
