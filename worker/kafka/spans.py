"""Any topic, read from offsets to what was its end when reading began, or on and on.

Not as a member of a group: records are looked at, not consumed, and nothing is committed. Only what is committed is
seen; an open transaction is not, nor what comes behind it.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position

from worker.errors import ConfigurationError, TransportError
from worker.kafka.batches import batch_of
from worker.kafka.config import admin_config, consumer_config
from worker.kafka.errors import client, error_of, stopping
from worker.kafka.topics import CREATE, partition_counts
from worker.records import Record, RecordBatch
from worker.settings import Settings

SILENCE_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0
_CHUNK = 500
_WIDER = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition, ``start`` ≤ offset < ``end``."""

    start: int
    end: int


class TopicReader:
    """Reads one topic. A context manager: close it."""

    def __init__(self, settings: Settings, topic: str, group: str, *, role: str = "topic") -> None:
        """Nobody joins ``group``; ``role`` says in an error what the topic is.

        Raises TransportError (no broker) and ConfigurationError (no such topic).
        """
        # By partition, the next offset after what ``read`` went through to its end.
        self.reached: dict[int, int] = {}
        self.topic = topic
        count = partition_counts(admin_config(settings), [topic]).get(topic)
        if count is None:
            ours = settings.topics.model_dump().values()
            hint = f"`{CREATE}` creates it" if topic in ours else f"the topics of the settings are {', '.join(ours)}"
            raise ConfigurationError(f"the {role} {topic} does not exist", hint=hint)
        self.partitions = range(count)
        config: dict[str, Any] = consumer_config(settings) | {"group.id": group, "enable.partition.eof": True}
        self.consumer = client(Consumer, config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.consumer.close()

    def spans(self, since_ms: int | None = None) -> dict[int, Span]:
        """By partition, from the first record (of that time, Unix milliseconds) to the end as it is now."""
        try:
            spans = {
                partition: Span(*self.consumer.get_watermark_offsets(self._at(partition), timeout=TIMEOUT_SECONDS))
                for partition in self.partitions
            }
            if since_ms is None:
                return spans
            wanted = [self._at(partition, since_ms) for partition in self.partitions]
            starts = {p.partition: p.offset for p in self.consumer.offsets_for_times(wanted, timeout=TIMEOUT_SECONDS)}
        except KafkaException as error:
            raise stopping(f"reading the offsets of {self.topic}", error_of(error)) from None
        # Behind the last record, librdkafka answers with a negative number that stands for the end.
        return {p: Span(starts[p] if starts[p] >= 0 else span.end, span.end) for p, span in spans.items()}

    def read(self, spans: Mapping[int, Span]) -> Iterator[RecordBatch]:
        """The records within, in offset order in each partition. Raises TransportError."""
        ends = {partition: span.end for partition, span in spans.items() if span.start < span.end}
        self.reached.clear()
        self.consumer.assign([self._at(partition, spans[partition].start) for partition in ends])
        heard = time.monotonic()
        while ends:
            events = self._consume()
            if events:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise TransportError(f"{self.topic} brought nothing for {SILENCE_SECONDS:.0f} s before its end")
            if wanted := self._within(events, ends):
                yield batch_of(wanted)

    def last(self, spans: Mapping[int, Span], count: int) -> list[Record]:
        """The ``count`` latest records within, by Kafka's time; of each partition in offset order.

        Not every offset is a record (transactions leave marks), so where too few are found, reading begins further back.
        """
        pending, found, reached, width = dict(spans), dict[int, deque[Record]](), dict[int, int](), count
        while pending:
            tails = {p: Span(max(span.start, span.end - width), span.end) for p, span in pending.items()}
            found |= {partition: deque(maxlen=count) for partition in pending}
            for batch in self.read(tails):
                for row in range(len(batch)):
                    found[int(batch.partition[row])].append(batch.record(row))
            reached |= self.reached
            pending = {p: s for p, s in pending.items() if len(found[p]) < count and tails[p].start > s.start}
            width *= _WIDER
        self.reached = reached
        merged = list(heapq.merge(*found.values(), key=lambda record: record.timestamp_ms))
        latest = heapq.nlargest(count, range(len(merged)), key=lambda i: (merged[i].timestamp_ms, i))
        return [merged[i] for i in sorted(latest)]

    def follow(self, spans: Mapping[int, Span]) -> Iterator[RecordBatch]:
        """What comes behind the spans that were just read, for as long as the caller likes. Raises TransportError."""
        starts = {partition: self.reached.get(partition, span.end) for partition, span in spans.items()}
        self.consumer.assign([self._at(partition, start) for partition, start in starts.items()])
        while True:
            events = self._consume()
            records = [event for event in events if (error := event.error()) is None or self._must_pass(error)]
            if records:
                yield batch_of(records)

    def _consume(self) -> list[Message]:
        try:
            events: list[Message] = self.consumer.consume(_CHUNK, 0.2)
        except KafkaException as error:
            raise stopping(f"reading {self.topic}", error_of(error)) from None
        return events

    def _within(self, events: list[Message], ends: dict[int, int]) -> list[Message]:
        """Records among the events; a partition whose end has come is taken out of ``ends``."""
        wanted = []
        for event in events:
            partition, offset = event.partition(), event.offset()
            error = event.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public code
                self._must_pass(error)
                continue
            if partition is None or offset is None or partition not in ends:
                continue
            if error is None and offset < ends[partition]:
                wanted.append(event)
            if error is not None or offset + 1 >= ends[partition]:
                # An end that comes early is that of what is committed: what an open transaction holds is still to come.
                self.reached[partition] = ends.pop(partition) if error is None else min(offset, ends.pop(partition))
        return wanted

    def _must_pass(self, error: KafkaError) -> bool:
        """False for an event by which librdkafka goes on. Raises for every other error."""
        if error.fatal() or error.code() not in _PASSING:
            raise stopping(f"reading {self.topic}", error)
        return False

    def _at(self, partition: int, offset: int = 0) -> Position:
        return Position(self.topic, partition, offset)


# Silence after one of these has its own limit, where there is an end to be reached.
_PASSING = (KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)  # noqa: SLF001 - public codes
