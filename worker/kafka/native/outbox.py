"""Outgoing batches to a producer's queue, in order and to partitions of our choice; librdkafka copies the bytes."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np

from worker.kafka.native.arguments import Layout, placed
from worker.kafka.native.library import Library
from worker.records import OutgoingBatch

_COPY = 0x2  # RD_KAFKA_MSG_F_COPY
# rd_kafka_message_t, whose size is part of librdkafka's ABI.
_MESSAGE: Final = np.dtype(
    {
        "names": ["error", "value", "value_length", "key", "key_length"],
        "formats": ["<i4", "<u8", "<u8", "<u8", "<u8"],
        "offsets": [0, 24, 32, 40, 48],
        "itemsize": 72,
    }
)
_TOGETHER: Final = 500
_FEW: Final = 12


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
        elif len(batch) <= _FEW:
            self._put_few(batch)
        else:
            self._put_plain(batch)

    def close(self) -> None:
        """Let go of the topics; to be called before the producer ends."""
        while self._topics:
            self._library.topic_destroy(self._topics.popitem()[1])

    def _put_few(self, batch: OutgoingBatch) -> None:
        """One call a record, where laying them out would be the most of it."""
        topic, put = self._topic(batch.topic), self._library.produce
        records = zip(batch.partition.tolist(), batch.values.to_list(), batch.keys.to_list(), strict=True)
        for i, (partition, value, key) in enumerate(records):
            if put(topic, partition, _COPY, value, len(value or b""), key, len(key or b""), None):
                raise self._not_taken(len(batch) - i, len(batch), self._library.error(self._library.last_error()).str())

    def _put_plain(self, batch: OutgoingBatch) -> None:
        """One call for neighbours of one partition.

        Told the partitions one by one, ``rd_kafka_produce_batch`` would add a partition that it does not know yet to
        the transaction as number -1.
        """
        messages = np.zeros(len(batch), _MESSAGE)
        messages["value"], messages["value_length"], values = placed(batch.values)
        messages["key"], messages["key_length"], keys = placed(batch.keys)
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
        """One call a record, on arguments that are laid out for some hundred at a time: they stay in the cache."""
        topic, put, handle = self._topic(batch.topic), self._library.produceva, self._handle
        laying = Layout(batch, topic)
        for first in range(0, len(batch), _TOGETHER):
            places, counts = laying.out(first, min(first + _TOGETHER, len(batch)))
            for i, (at, count) in enumerate(zip(places, counts, strict=True)):
                if error := put(handle, at, count):
                    text = self._library.error_string(error).decode("utf-8", "replace")
                    self._library.error_destroy(error)
                    raise self._not_taken(len(batch) - first - i, len(batch), text)

    def _topic(self, name: str) -> int:
        if name not in self._topics:
            self._topics[name] = self._library.topic_new(self._handle, name.encode(), None)
        return self._topics[name]

    @staticmethod
    def _not_taken(missing: int, of: int, why: str) -> BufferError:
        return BufferError(f"{missing} of {of} records were not taken: {why}")
