"""The headers of consumed records, which librdkafka parses when it is asked for them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence

import numpy as np

from worker.kafka.native.library import Library
from worker.records import HeaderColumns, Slices

_ENTRY = tuple[bytes, bytes | None]


def headers_of(library: Library, messages: Sequence[int], among: Iterable[int]) -> HeaderColumns:
    """Those of the messages (addresses) at the places ``among``, ascending; the others have none.

    None of a record with a name that is not UTF-8, which nobody could be given.
    """
    found = ctypes.c_void_p()
    at, ask = ctypes.addressof(found), library.message_headers
    rows: list[int] = []
    entries: list[_ENTRY] = []
    for row in among:
        if ask(messages[row], at) == 0:
            own = _entries(library, found.value or 0)
            rows += [row] * len(own)
            entries += own
    if not rows:
        return HeaderColumns.none()
    names, values = zip(*entries, strict=True)
    return HeaderColumns(np.array(rows, np.int64), Slices.of(names), Slices.of(values))


def _entries(library: Library, headers: int) -> list[_ENTRY]:
    name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
    places = ctypes.addressof(name), ctypes.addressof(value), ctypes.addressof(size)
    entries: list[_ENTRY] = []
    while library.header_get_all(headers, len(entries), *places) == 0:
        text = name.value or b""
        if not text.isascii() and not _is_utf8(text):
            return []
        entries.append((text, None if value.value is None else ctypes.string_at(value.value, size.value)))
    return entries


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
