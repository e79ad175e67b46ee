"""What is read at a glance is believed only while librdkafka says the same."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from worker.kafka.native.glance import WORDS, Glance

COUNT = 5
CONTENT = ctypes.create_string_buffer(b"v")
ONE = (("n", b"v"),)
HEADERS = {1: ONE, 3: ONE}
PLACES = list(range(COUNT))
KNOWN, UNKNOWN = 0x021000FF, 0x030000FF


@dataclass
class Answers:
    """A librdkafka that knows of each message (by its number) time and headers, and counts how often it is asked."""

    number: int
    times: list[int]
    headers: list[bool]
    asked: list[int] = field(default_factory=list)

    def version(self) -> int:
        return self.number

    def message_timestamp(self, message: int, _: Any) -> int:
        self.asked.append(message)
        return self.times[message]

    def message_headers(self, message: int, _: int) -> int:
        self.asked.append(message)
        return 0 if self.headers[message] else -156

    def header_get_all(self, _: int, number: int, name: int, value: int, size: int) -> int:
        if number:
            return -156
        ctypes.c_char_p.from_address(name).value = b"n"
        ctypes.c_void_p.from_address(value).value = ctypes.addressof(CONTENT)
        ctypes.c_size_t.from_address(size).value = 1
        return 0


def words(times: list[int], header_bytes: list[int]) -> Any:
    """Of records without a value, so that no header is looked for in memory."""
    found = np.zeros((WORDS, COUNT), np.uint64)
    found[12], found[15] = times, np.array(header_bytes, np.uint64) + np.uint64(7 << 32)
    return found


def answers(number: int = KNOWN) -> Any:
    return Answers(number, [10, 11, 12, 13, 14], [False, True, False, True, False])


def test_the_ends_are_asked_for() -> None:
    """Of times only the first and the last are asked for; of headers these, and where they can't be read."""
    library = answers()
    glance, seen = Glance(library), words([10, 11, 12, 13, 14], [1, 9, 0, 30, 1])
    assert glance.timestamps_ms(seen, PLACES).tolist() == library.times
    assert library.asked == [0, 4]
    assert glance.headers(seen, PLACES) == HEADERS
    assert set(library.asked[2:]) == {0, 1, 3, 4}


@pytest.mark.parametrize("seen", [words([10, 0, 0, 0, 0], [1] * COUNT), words([10, 11, 12, 13, 14], [1] * COUNT)])
def test_a_difference_ends_the_trust(seen: Any) -> None:
    """Once the structure turns out to be another, every record is asked for, in this batch and ever after."""
    library = answers()
    library.headers[4] = True
    glance = Glance(library)
    for _ in range(2):
        assert glance.timestamps_ms(seen, PLACES).tolist() == library.times
        assert glance.headers(seen, PLACES) == {**HEADERS, 4: ONE}


def test_unknown_versions_are_asked() -> None:
    """Nothing is guessed of a version whose structure nobody has looked at."""
    library = answers(UNKNOWN)
    glance, seen = Glance(library), words([0] * COUNT, [0] * COUNT)
    assert glance.timestamps_ms(seen, PLACES).tolist() == library.times
    assert glance.headers(seen, PLACES) == HEADERS
