"""What ``rd_kafka_produceva`` is called with, laid out for many records at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from worker.kafka.native.memory import address_of
from worker.records import IntArray, OutgoingBatch, Slices
from worker.records.slices import ranges

# rd_kafka_vu_t, whose size is part of librdkafka's ABI.
_ARGUMENT: Final = np.dtype(
    {
        "names": ["kind", "number", "pointer", "size", "header_value", "header_size"],
        "formats": ["<i4", "<i4", "<u8", "<u8", "<u8", "<i8"],
        "offsets": [0, 8, 8, 16, 16, 24],
        "itemsize": 72,
    }
)
# rd_kafka_vtype_t
_TOPIC_HANDLE, _TO_PARTITION, _VALUE, _KEY, _FLAGS, _HEADER = 2, 3, 4, 5, 7, 9
_COPY = 0x2  # RD_KAFKA_MSG_F_COPY
_PLAIN: Final = 5
"""Arguments of a record besides its headers, which come after them."""
_LARGEST_TABLE_BYTES: Final = 1_000_000
Rows = npt.NDArray[Any]


class Layout:
    """The arguments of a batch's records, some at a time; its bytes are kept alive as long as this."""

    def __init__(self, batch: OutgoingBatch, topic: int) -> None:
        self._batch = batch
        self._topic = topic
        self._value, self._value_size, value = placed(batch.values)
        self._key, self._key_size, key = placed(batch.keys)
        headers = batch.headers
        self._name, _, name = placed(terminated(headers.names))
        self._header, self._header_size, header = placed(headers.values)
        # Where the headers of each row begin, and behind the last row, where they end.
        self._first = np.searchsorted(headers.row, np.arange(len(batch) + 1))
        self._kept = (value, key, name, header)
        self._arguments = np.zeros(0, _ARGUMENT)

    def out(self, first: int, last: int) -> tuple[list[int], list[int]]:
        """The addresses of the arguments of rows ``first`` to ``last``, and how many each has; good until the next call."""
        counts = np.diff(self._first[first : last + 1]) + _PLAIN
        self._arguments = arguments = np.zeros(int(counts.sum()), _ARGUMENT)
        places, at = np.empty(len(counts), np.int64), 0
        for count in np.unique(counts).tolist():
            alike = np.flatnonzero(counts == count)
            end = at + count * len(alike)
            self._fill(arguments[at:end].reshape(len(alike), count), first + alike)
            places[alike] = at + count * np.arange(len(alike))
            at = end
        addresses = arguments.ctypes.data + _ARGUMENT.itemsize * places
        return addresses.tolist(), counts.tolist()

    def _fill(self, arguments: Rows, rows: IntArray) -> None:
        """Of ``rows``, which all have as many headers; a row of ``arguments`` each."""
        kind, number, pointer, size = (arguments[name] for name in ("kind", "number", "pointer", "size"))
        kind[:, :_PLAIN] = (_TOPIC_HANDLE, _TO_PARTITION, _FLAGS, _VALUE, _KEY)
        pointer[:, 0] = self._topic
        number[:, 1] = self._batch.partition[rows]
        number[:, 2] = _COPY
        pointer[:, 3], size[:, 3] = self._value[rows], self._value_size[rows]
        pointer[:, 4], size[:, 4] = self._key[rows], self._key_size[rows]
        kind[:, _PLAIN:] = _HEADER
        entries = self._first[rows][:, None] + np.arange(arguments.shape[1] - _PLAIN)
        pointer[:, _PLAIN:] = self._name[entries]
        arguments["header_value"][:, _PLAIN:] = self._header[entries]
        arguments["header_size"][:, _PLAIN:] = self._header_size[entries]


def placed(slices: Slices) -> tuple[Rows, Rows, Rows]:
    """Addresses (0 for null), lengths, and what keeps the bytes alive."""
    base, data = address_of(slices.buffer)
    null = slices.start < 0
    if not null.any():
        return base + slices.start, slices.end - slices.start, data
    return np.where(null, 0, base + slices.start), np.where(null, 0, slices.end - slices.start), data


def terminated(names: Slices) -> Slices:
    """Copies with a zero behind each; what is named again and again is copied once."""
    if len(names.buffer) <= _LARGEST_TABLE_BYTES and len(names):
        end_of = np.zeros(len(names.buffer) + 1, np.int64)
        end_of[names.start] = names.end
        if (end_of[names.start] == names.end).all():
            start = _distinct(names.start, len(end_of))
            once = _terminated(Slices(names.buffer, start, end_of[start]))
            moved = np.zeros(len(end_of), np.int64)
            moved[start] = once.start
            begin = moved[names.start]
            return Slices(once.buffer, begin, begin + names.end - names.start)
    return _terminated(names)


def _distinct(numbers: Rows, below: int) -> Rows:
    found = np.zeros(below, np.bool_)
    found[numbers] = True
    return np.flatnonzero(found)


def _terminated(names: Slices) -> Slices:
    length = names.end - names.start
    end = np.cumsum(length + 1)
    start = end - length - 1
    buffer = np.zeros(int(end[-1]) if len(end) else 1, np.uint8)
    buffer[ranges(start, length)] = np.frombuffer(names.buffer, np.uint8)[ranges(names.start, length)]
    return Slices(buffer.data, start, end)
