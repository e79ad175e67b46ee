"""What the client has fetched, partition by partition, as columnar batches.

librdkafka puts a partition's records into a queue of its own, and forwards that to the one that ``Consumer.poll``
reads. Here the partitions that are ours are not forwarded: records are taken from their queues directly, many at a
time, and ``Consumer.poll`` is left with what it alone can do, which is to run the callbacks. Records of a partition that
was revoked, or was sought in, never come out of its queue: librdkafka drops what is older than its last jump.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np
from confluent_kafka import Consumer, KafkaError

from worker.kafka.native.glance import VALUE, VALUE_LENGTH, WORDS, Glance
from worker.kafka.native.headers import headers_of
from worker.kafka.native.library import Library, handle_of
from worker.kafka.native.memory import NEAR_BYTES, WORD_BYTES, Gathered, Words, gathered, words_at
from worker.records import IntArray, RecordBatch, Slices

# rd_kafka_message_t in words: error (its lower half), topic, partition, payload, length, key, length, offset.
_ERROR, _KEY, _KEY_LENGTH, _OFFSET = 0, 5, 6, 7
FEW: Final = 12
_LEAST_SHARE: Final = 2_000
_ERROR_BITS: Final = np.uint64(0xFFFFFFFF)
_LONGEST_WAIT_SECONDS = 0.1
# rd_kafka_message_t: error, topic, partition, payload, length, key, length, offset.
_MESSAGE: Final = struct.Struct("=i4xQi4xQQQQq")
_NUMBER: Final = struct.Struct("=i")
_CALLBACKS: Final = _NUMBER.pack(-1)
_MOST_NUMBERS: Final = 1_024
_BEGINNING: Final = np.array([0], np.int64)
_NULL: Final = np.array([-1], np.int64)
for _shared in (_BEGINNING, _NULL):
    _shared.setflags(write=False)


class PartitionQueues:
    """The queues of the partitions that are ours. Not for several threads."""

    def __init__(self, library: Library, consumer: Consumer, topic: str) -> None:
        self._library = library
        self._handle = handle_of(library, consumer)
        self._glance = Glance(library)
        self._topic = topic
        self._queues: dict[int, int] = {}
        self._last = -1  # the partition that had its turn last
        self._pointers = np.zeros(1, np.uint64)
        self._address = self._pointers.ctypes.data
        # Partitions that may have records: each is asked only then, since most of many have none.
        self._worth: set[int] = set()
        self.has_callbacks = True
        """Whether the client may have callbacks to run; whoever has run them says ``served``."""
        # librdkafka writes the partition's number when its queue is empty no more, and -1 for that of callbacks.
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._wakes = select.poll()
        self._wakes.register(self._woken, select.POLLIN)
        self._callbacks = library.queue_get_consumer(self._handle)
        library.queue_io_event_enable(self._callbacks, self._wake, _CALLBACKS, len(_CALLBACKS))

    def open(self, partitions: Iterable[int]) -> None:
        """Take them on. To be called before the client begins to fetch them, which is in its assignment callback."""
        for partition in partitions:
            self._release(partition)
            queue = self._library.queue_get_partition(self._handle, self._topic.encode(), partition)
            self._library.queue_forward(queue, None)
            self._library.queue_io_event_enable(queue, self._wake, _NUMBER.pack(partition), _NUMBER.size)
            self._queues[partition] = queue
            self._worth.add(partition)

    def release(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            self._release(partition)

    def close(self) -> None:
        """Let go of everything; to be called before the client is closed."""
        self.release(list(self._queues))
        if self._callbacks:
            self._library.queue_io_event_enable(self._callbacks, -1, None, 0)
            self._library.queue_destroy(self._callbacks)
            self._callbacks = None
            os.close(self._woken)
            os.close(self._wake)

    @property
    def is_empty(self) -> bool:
        """As far as is known: then ``wait`` tells."""
        return not (self._worth or self.has_callbacks)

    def wait(self, seconds: float) -> None:
        """For so long at most, until something is there to be taken, or for the client's callbacks."""
        if not self._wakes.poll(1_000 * min(seconds, _LONGEST_WAIT_SECONDS)):
            self._worth.update(self._queues)  # a record must not wait for want of a number
            self.has_callbacks = True

    def served(self) -> None:
        """The client's callbacks were run, as far as it did so at once."""
        self.has_callbacks = self._library.queue_length(self._callbacks) > 0

    def look(self) -> None:
        """Take note of what librdkafka has said by now."""
        try:
            said = os.read(self._woken, _MOST_NUMBERS * _NUMBER.size)  # what is left wakes once more
        except BlockingIOError:
            return
        for (number,) in _NUMBER.iter_unpack(said):
            if number in self._queues:
                self._worth.add(number)
            elif number < 0:
                self.has_callbacks = True

    def take(self, most: int) -> tuple[RecordBatch | None, list[tuple[int, KafkaError]]]:
        """At most so many records that are there, the partitions in turn; and errors, each with its partition.

        Does not wait. Every partition with a backlog gets its share.
        """
        counts = self._taken(most)
        if not counts:
            return None, []
        pointers = self._pointers[: sum(counts.values())].copy()
        places = pointers.tolist()
        try:
            if len(places) <= FEW and (few := self._few(places, counts)) is not None:
                return few, []
            return self._batch(pointers, np.repeat(np.array(list(counts), np.int64), list(counts.values())))
        finally:
            deque(map(self._library.message_destroy, places), maxlen=0)

    def _taken(self, most: int) -> dict[int, int]:
        """Fill ``_pointers``; how many are of which partition, in their order."""
        if len(self._pointers) < most:
            self._pointers = np.zeros(most, np.uint64)
            self._address = self._pointers.ctypes.data
        shares = [(next(iter(self._worth)), most)] if len(self._worth) == 1 else self._shares(self._lengths(), most)
        address, taken, counts = self._address, 0, dict[int, int]()
        for partition, wanted in shares:
            at = address + WORD_BYTES * taken
            found = self._library.consume_batch_queue(self._queues[partition], 0, at, wanted)
            if found > 0:
                counts[partition] = found
                taken += found
            if found < wanted:
                self._worth.discard(partition)
        return counts

    def _lengths(self) -> dict[int, int]:
        """How many records are there, of the partitions that have any.

        One that was found empty is left out until librdkafka names it again, which it does for the next record.
        """
        lengths = {partition: self._library.queue_length(self._queues[partition]) for partition in sorted(self._worth)}
        self._worth = {partition for partition, length in lengths.items() if length}
        return lengths

    def _shares(self, lengths: dict[int, int], most: int) -> list[tuple[int, int]]:
        """How many records of which partition, ``most`` in all.

        Partitions with less than their share are taken whole. Those with more have their turn, some at a time and the
        others in the next batches: a transaction costs something for every partition in it.
        """
        waiting = sorted((partition for partition, length in lengths.items() if length), key=lengths.__getitem__)
        shares, left = [], most
        while waiting and lengths[waiting[0]] * len(waiting) <= left:
            partition = waiting.pop(0)
            shares.append((partition, lengths[partition]))
            left -= lengths[partition]
        for partition in sorted(waiting, key=lambda partition: (partition <= self._last, partition)):
            if left <= 0:
                break
            share = min(lengths[partition], left, max(-(-left // len(waiting)), _LEAST_SHARE))
            shares.append((partition, share))
            left -= share
            self._last = partition
        return shares

    def _batch(self, pointers: Words, partition: IntArray) -> tuple[RecordBatch | None, list[tuple[int, KafkaError]]]:
        words = words_at(pointers, WORDS)
        failed = (words[_ERROR] & _ERROR_BITS) != 0
        errors: list[tuple[int, KafkaError]] = []
        if failed.any():
            errors = self._errors(words[_ERROR, failed], pointers[failed], partition[failed])
            pointers, partition, words = pointers[~failed], partition[~failed], words[:, ~failed]
            if not len(pointers):
                return None, errors
        places = pointers.tolist()
        keys, values = _contents(words)
        timestamp_ms = self._glance.timestamps_ms(words, places)
        headers = self._glance.headers(words, places)
        offset = words[_OFFSET].view(np.int64)
        return RecordBatch(self._topic, partition, offset, timestamp_ms, keys, values, headers), errors

    def _few(self, places: list[int], counts: dict[int, int]) -> RecordBatch | None:
        """A batch of few records, where a fixed cost would be the most of it; None if there is an error among them."""
        messages = [_MESSAGE.unpack(ctypes.string_at(place, _MESSAGE.size)) for place in places]
        if any(error for error, *_ in messages):
            return None
        if len(messages) == 1:
            return self._single(places[0], messages[0])
        ask = self._library.message_timestamp
        return RecordBatch(
            topic=self._topic,
            partition=np.array([partition for partition, count in counts.items() for _ in range(count)], np.int64),
            offset=np.array([offset for *_, offset in messages], np.int64),
            timestamp_ms=np.array([ask(place, None) for place in places], np.int64),
            keys=Slices.of([_bytes_at(key, size) for _, _, _, _, _, key, size, _ in messages]),
            values=Slices.of([_bytes_at(value, size) for _, _, _, value, size, _, _, _ in messages]),
            headers=headers_of(self._library, places, range(len(places))),
        )

    def _single(self, place: int, message: tuple[int, ...]) -> RecordBatch:
        """A batch of one record; its numbers stand in one array."""
        _, _, partition, value, value_size, key, key_size, offset = message
        numbers = (partition, offset, self._library.message_timestamp(place, None), key_size, value_size)
        own_partition, own_offset, timestamp_ms, key_end, value_end = np.array(numbers, np.int64).reshape(-1, 1)
        return RecordBatch(
            topic=self._topic,
            partition=own_partition,
            offset=own_offset,
            timestamp_ms=timestamp_ms,
            keys=Slices(_bytes_at(key, key_size) or b"", _BEGINNING if key else _NULL, key_end),
            values=Slices(_bytes_at(value, value_size) or b"", _BEGINNING if value else _NULL, value_end),
            headers=headers_of(self._library, (place,), (0,)),
        )

    def _errors(self, codes: Words, pointers: Words, partition: IntArray) -> list[tuple[int, KafkaError]]:
        numbers = (codes & _ERROR_BITS).astype(np.uint32).view(np.int32).tolist()
        texts = map(self._library.message_errstr, pointers.tolist())
        return [
            (where, self._library.error(number, text))
            for where, number, text in zip(partition.tolist(), numbers, texts, strict=True)
        ]

    def _release(self, partition: int) -> None:
        queue = self._queues.pop(partition, None)
        self._worth.discard(partition)
        if queue is not None:
            self._library.queue_io_event_enable(queue, -1, None, 0)
            self._library.queue_destroy(queue)


def _contents(words: Words) -> tuple[Slices, Slices]:
    """Keys and values; in one buffer where each value lies behind its key, as in what was fetched from a broker of today."""
    key, value = words[_KEY], words[VALUE]
    key_end, value_end = key + words[_KEY_LENGTH], value + words[VALUE_LENGTH]
    # Empty ones lie somewhere in the library itself.
    no_key, no_value = key_end == key, value_end == value
    beside = no_key | no_value | ((value >= key_end) & (value - key_end <= NEAR_BYTES))
    if not beside.all():
        keys, values = gathered(key, key_end), gathered(value, value_end)
    else:
        begin, end = np.where(no_key, value, key), np.where(no_value, key_end, value_end)
        keys = values = gathered(begin, np.where(no_key & no_value, begin, end))
    return _slices(keys, key, key_end), _slices(values, value, value_end)


def _slices(content: Gathered, start: Words, end: Words) -> Slices:
    first, last = start.view(np.int64) + content.shift, end.view(np.int64) + content.shift
    empty = start == end
    if empty.any():
        nothing = np.where(start == 0, -1, 0)
        first, last = np.where(empty, nothing, first), np.where(empty, nothing, last)
    return Slices(content.buffer, first, last)


def _bytes_at(address: int, length: int) -> bytes | None:
    return ctypes.string_at(address, length) if address else None
