"""Commits of a consumer's offsets that nobody waits for: the outcome is asked for later.

librdkafka keeps the order meanwhile: while a commit is under way no partition is given up, and the group is not left
(``wait_commit_cnt`` in its ``rdkafka_assignment.c`` and ``rdkafka_cgrp.c``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError

from worker.kafka.native.library import Library, handle_of
from worker.records import TopicPartition

Offsets = Mapping[TopicPartition, tuple[int, str]]
"""The next offsets, and what is kept beside them."""


class _Position(ctypes.Structure):
    """rd_kafka_topic_partition_t"""

    _fields_ = (
        ("topic", ctypes.c_char_p),
        ("partition", ctypes.c_int32),
        ("offset", ctypes.c_int64),
        ("metadata", ctypes.c_char_p),
        ("metadata_size", ctypes.c_size_t),
        ("opaque", ctypes.c_void_p),
        ("error", ctypes.c_int),
        ("private", ctypes.c_void_p),
    )


class _Positions(ctypes.Structure):
    """rd_kafka_topic_partition_list_t"""

    _fields_ = (("count", ctypes.c_int), ("size", ctypes.c_int), ("first", ctypes.POINTER(_Position)))


class Commits:
    """One commit at a time. Not for several threads."""

    def __init__(self, library: Library, consumer: Consumer) -> None:
        self._library = library
        self._handle = handle_of(library, consumer)
        self._outcomes = library.queue_new(self._handle)
        self.under_way: Offsets | None = None

    def begin(self, offsets: Offsets) -> None:
        """Send them on their way, the metadata beside them; the commit before must have ``ended``."""
        assert self.under_way is None, "one at a time"
        positions = []
        for tp, (offset, metadata) in offsets.items():
            text = metadata.encode()
            # With the zero behind it, as the client commits it: who reads it through the client looks for one.
            positions.append(_Position(tp.topic.encode(), tp.partition, offset, text, len(text) + 1))
        # librdkafka makes a copy of it all.
        sent = _Positions(len(positions), len(positions), (_Position * len(positions))(*positions))
        code = self._library.commit_queue(self._handle, ctypes.addressof(sent), self._outcomes, None, None)
        assert not code, "a member of a group, with a queue to answer to"
        self.under_way = offsets

    def ended(self, seconds: float) -> tuple[Offsets, KafkaError | None] | None:
        """The commit that was under way and the error if it failed, if that is known within so long."""
        if self.under_way is None:
            return None
        event = self._library.queue_poll(self._outcomes, int(1_000 * seconds))
        if not event:
            return None
        ended, self.under_way = self.under_way, None
        code = self._library.event_error(event) or self._first_error(event)
        self._library.event_destroy(event)
        return ended, self._library.error(code) if code else None

    def close(self) -> None:
        """To be called before the consumer is closed, which would wait for an outcome that nobody takes."""
        if self._outcomes:
            self._library.queue_destroy(self._outcomes)
            self._outcomes = self.under_way = None

    def _first_error(self, event: int) -> int:
        """Of the partitions one by one; 0: all are committed."""
        found = _Positions.from_address(self._library.event_topic_partition_list(event))
        return next((code for i in range(found.count) if (code := found.first[i].error)), 0)
