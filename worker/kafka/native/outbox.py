"""Outgoing batches to a producer's queue, in order and to partitions of our choice; librdkafka copies the bytes."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from worker.kafka.native.library import Library
from worker.kafka.native.memory import address_of
from worker.records import OutgoingBatch, Slices
from worker.records.slices import ranges

_COPY = 0x2  # RD_KAFKA_MSG_F_COPY
# rd_kafka_message_t and rd_kafka_vu_t, whose sizes are part of librdkafka's ABI.
_MESSAGE: Final = np.dtype(
    {
        "names": ["error", "value", "value_length", "key", "key_length"],
        "formats": ["<i4", "<u8", "<u8", "<u8", "<u8"],
        "offsets": [0, 24, 32, 40, 48],
        "itemsize": 72,
    }
)
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
_PLAIN_ARGUMENTS: Final = 5
Rows = npt.NDArray[Any]


class Outbox:
    """Puts records into the queue of one producer."""

    def __init__(self, library: Library, handle: int) -> None:
        self._library = library
        self._handle = handle
        self._topics: dict[str, int] = {}

    def put(self, batch: OutgoingBatch) -> None:
        """Hand a batch over; an empty one is nothing. Raises BufferError when not all of it was taken."""
        if not len(batch):
            return
        if batch.headers:
            self._put_with_headers(batch)
        else:
            self._put_plain(batch)

    def close(self) -> None:
        """Let go of the topics; to be called before the producer ends."""
        while self._topics:
            self._library.topic_destroy(self._topics.popitem()[1])

    def _put_plain(self, batch: OutgoingBatch) -> None:
        """One call for neighbours of one partition.

        Told the partitions one by one, ``rd_kafka_produce_batch`` would add a partition that it does not know yet to
        the transaction as number -1.
        """
        messages = np.zeros(len(batch), _MESSAGE)
        messages["value"], messages["value_length"], values = _placed(batch.values)
        messages["key"], messages["key_length"], keys = _placed(batch.keys)
        others = np.flatnonzero(batch.partition[1:] != batch.partition[:-1]) + 1
        bounds = [0, *others.tolist(), len(messages)]
        topic, address, taken = self._topic(batch.topic), messages.ctypes.data, 0
        for first, last in itertools.pairwise(bounds):
            at = address + first * _MESSAGE.itemsize
            taken += self._library.produce_batch(topic, int(batch.partition[first]), _COPY, at, last - first)
        del values, keys  # copied by now
        if taken != len(messages):
            code = int(messages["error"][np.flatnonzero(messages["error"])[0]])
            raise self._not_taken(len(messages) - taken, len(messages), self._library.error(code).str())

    def _put_with_headers(self, batch: OutgoingBatch) -> None:
        """One call a record, on arguments that were laid out for all at once."""
        topic = self._topic(batch.topic)
        put, handle = self._library.produceva, self._handle
        arguments, first, counts, kept = _laid_out(batch, topic)
        address = arguments.ctypes.data + _ARGUMENT.itemsize * first
        for i, (at, count) in enumerate(zip(address.tolist(), counts.tolist(), strict=True)):
            if error := put(handle, at, count):
                text = self._library.error_string(error).decode("utf-8", "replace")
                self._library.error_destroy(error)
                raise self._not_taken(len(batch) - i, len(batch), text)
        del kept  # copied by now

    def _topic(self, name: str) -> int:
        if name not in self._topics:
            self._topics[name] = self._library.topic_new(self._handle, name.encode(), None)
        return self._topics[name]

    @staticmethod
    def _not_taken(missing: int, of: int, why: str) -> BufferError:
        return BufferError(f"{missing} of {of} records were not taken: {why}")


def _placed(slices: Slices) -> tuple[Rows, Rows, Rows]:
    """Addresses (0 for null), lengths, and what keeps the bytes alive."""
    base, data = address_of(slices.buffer)
    null = slices.start < 0
    if not null.any():
        return base + slices.start, slices.end - slices.start, data
    return np.where(null, 0, base + slices.start), np.where(null, 0, slices.end - slices.start), data


def _laid_out(batch: OutgoingBatch, topic: int) -> tuple[Rows, Rows, Rows, list[Any]]:
    """The arguments of all records, where each record's begin, how many they are, and what keeps the bytes alive.

    The headers of a record stand behind its plain arguments, in their order.
    """
    row = batch.headers.row
    headers = np.bincount(row, minlength=len(batch))
    counts = headers + _PLAIN_ARGUMENTS
    first = np.cumsum(counts) - counts
    arguments = np.zeros(int(counts.sum()), _ARGUMENT)
    arguments["kind"][first], arguments["pointer"][first] = _TOPIC_HANDLE, topic
    arguments["kind"][first + 1], arguments["number"][first + 1] = _TO_PARTITION, batch.partition
    arguments["kind"][first + 2], arguments["number"][first + 2] = _FLAGS, _COPY
    kept: list[Any] = []
    for offset, kind, slices in ((3, _VALUE, batch.values), (4, _KEY, batch.keys)):
        at = first + offset
        arguments["kind"][at] = kind
        arguments["pointer"][at], arguments["size"][at], data = _placed(slices)
        kept.append(data)
    nth = np.arange(len(row)) - (np.cumsum(headers) - headers)[row]
    at = first[row] + _PLAIN_ARGUMENTS + nth
    arguments["kind"][at] = _HEADER
    arguments["pointer"][at], _, data = _placed(_terminated(batch.headers.names))
    arguments["header_value"][at], arguments["header_size"][at], more = _placed(batch.headers.values)
    return arguments, first, counts, [*kept, data, more]


def _terminated(names: Slices) -> Slices:
    """A copy in which a zero stands behind each."""
    length = names.end - names.start
    end = np.cumsum(length + 1)
    start = end - length - 1
    buffer = np.zeros(int(end[-1]), np.uint8)
    buffer[ranges(start, length)] = np.frombuffer(names.buffer, np.uint8)[ranges(names.start, length)]
    return Slices(buffer.data, start, end)
