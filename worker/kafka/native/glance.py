"""What librdkafka has to be asked for record by record, read at a glance: timestamps, and which records have headers.

Asking costs a third of a microsecond a record, a seventh of all that the worker does with it. Both stand behind the public
part of a message, in librdkafka's own structure (``rd_kafka_msg_t`` in ``rdkafka_msg.h``), at places that are known for
some versions only. Even there they are believed only while librdkafka, asked for the first and the last record of each
batch, says the same; after a first difference it is asked for every record.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from worker.kafka.native.library import Library
from worker.kafka.native.memory import Words
from worker.records import IntArray

WORDS: Final = 16
_TIMESTAMP, _HEADER_BYTES = 12, 15  # words from the message's beginning; the latter in its lower half
_HALF: Final = np.uint64(0xFFFFFFFF)
_NO_HEADERS_BYTES = 1  # their number, which is 0; none at all in the oldest format
_KNOWN_VERSIONS: Final = {(2, 15), (2, 16)}


class Glance:
    """``words`` are the first ``WORDS`` of each message, ``places`` the messages' addresses."""

    def __init__(self, library: Library) -> None:
        self._library = library
        number = library.version()
        self._trusted = (number >> 24, number >> 16 & 0xFF) in _KNOWN_VERSIONS
        self._found = ctypes.c_void_p()

    def timestamps_ms(self, words: Words, places: Sequence[int]) -> IntArray:
        """int64 (n,)."""
        ask = self._library.message_timestamp
        if self._trusted:
            seen: IntArray = words[_TIMESTAMP].view(np.int64)
            self._trusted = all(seen[i] == ask(places[i], None) for i in (0, -1))
            if self._trusted:
                return seen
        return np.fromiter(map(ask, places, itertools.repeat(None)), np.int64, len(places))

    def with_headers(self, words: Words, places: Sequence[int]) -> list[int]:
        """The rows that have headers, ascending; of those librdkafka still knows best."""
        at, ask = ctypes.addressof(self._found), self._library.message_headers
        if self._trusted:
            some = (words[_HEADER_BYTES] & _HALF) > _NO_HEADERS_BYTES
            self._trusted = all(some[i] or ask(places[i], at) for i in (0, -1))
            if self._trusted:
                return np.flatnonzero(some).tolist()
        errors = np.fromiter(map(ask, places, itertools.repeat(at)), np.int32, len(places))
        return np.flatnonzero(errors == 0).tolist()
