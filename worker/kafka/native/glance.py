"""What librdkafka has to be asked for record by record, read at a glance: timestamps and headers.

Asking whether a record has headers costs a quarter of a microsecond, and 3 where it has one; all else that the worker does
with a record costs 2. Both stand behind the public part of a message, in librdkafka's own structure (``rd_kafka_msg_t``
in ``rdkafka_msg.h``), at places that are known for some versions only. Even there they are believed only while
librdkafka, asked for the first and the last record of each batch, says the same; after a first difference it is asked for
every record.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from worker.kafka.native.headers import headers_of
from worker.kafka.native.library import Library
from worker.kafka.native.memory import Words, gathered
from worker.kafka.native.wire_headers import parsed
from worker.records import HeaderColumns, IntArray

WORDS: Final = 17
VALUE, VALUE_LENGTH = 3, 4  # of the public part
# Words from the message's beginning; the headers' size is in the lower half of its.
_TIMESTAMP, _HEADER_BYTES, _HEADERS = 12, 15, 16
_HALF: Final = np.uint64(0xFFFFFFFF)
_NO_HEADERS_BYTES = 1  # their number, which is 0; none at all in the oldest format
_KNOWN_VERSIONS: Final = {(2, 15), (2, 16)}


class Glance:
    """``words`` are the first ``WORDS`` of each message, ``places`` the messages' addresses."""

    def __init__(self, library: Library) -> None:
        self._library = library
        number = library.version()
        self._trusted = (number >> 24, number >> 16 & 0xFF) in _KNOWN_VERSIONS

    def timestamps_ms(self, words: Words, places: Sequence[int]) -> IntArray:
        """int64 (n,)."""
        ask = self._library.message_timestamp
        if self._trusted:
            seen: IntArray = words[_TIMESTAMP].view(np.int64)
            self._trusted = all(seen[i] == ask(places[i], None) for i in (0, -1))
            if self._trusted:
                return seen
        return np.fromiter(map(ask, places, itertools.repeat(None)), np.int64, len(places))

    def headers(self, words: Words, places: Sequence[int]) -> HeaderColumns:
        """Those of all messages."""
        if self._trusted:
            size = (words[_HEADER_BYTES] & _HALF).view(np.int64)
            rows = np.flatnonzero(size > _NO_HEADERS_BYTES)
            found = self._as_fetched(words[:, rows], size[rows], rows)
            if found is None:
                found = headers_of(self._library, places, rows.tolist())
            ends = sorted({0, len(places) - 1, *(rows[[0, -1]].tolist() if len(rows) else ())})
            known = headers_of(self._library, places, ends)
            self._trusted = known == {row: found[row] for row in ends if row in found}
            if self._trusted:
                return found
        return headers_of(self._library, places, range(len(places)))

    @staticmethod
    def _as_fetched(words: Words, size: IntArray, rows: IntArray) -> HeaderColumns | None:
        """Read where they lie, which is right behind a record's value; None where they don't, or are not plain."""
        if not len(rows):
            return HeaderColumns.none()
        start = words[_HEADERS]
        if (start != words[VALUE] + words[VALUE_LENGTH]).any() or not words[VALUE].all():
            return None
        content = gathered(start, start + size.view(np.uint64))
        begin = start.view(np.int64) + content.shift
        return parsed(content.buffer, begin, begin + size, rows)
