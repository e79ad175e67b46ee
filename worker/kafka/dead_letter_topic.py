"""The dead-letter topic, read back from an offset to what was its end when reading began.

Not as a member of a group: letters are looked at, not consumed. Only committed letters are seen; those of an open
transaction are not, nor what comes behind them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position

from worker.errors import ConfigurationError, TransportError
from worker.kafka.batches import batch_of
from worker.kafka.config import admin_config, consumer_config
from worker.kafka.errors import error_of, stopping
from worker.kafka.letters import Letter, letter_of
from worker.kafka.topics import CREATE, partition_counts
from worker.settings import Settings

SILENCE_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition, ``start`` ≤ offset < ``end``."""

    start: int
    end: int


def replay_group(group: str) -> str:
    """The group whose committed offsets say what has been replayed; nobody ever joins it."""
    return f"{group}.replay"


class DeadLetterTopic:
    """Reads letters. A context manager: close it."""

    def __init__(self, settings: Settings) -> None:
        """Raises TransportError (no broker) and ConfigurationError (no such topic)."""
        # By partition, the next offset after what ``read`` went through to its end.
        self.reached: dict[int, int] = {}
        self.topic = settings.topics.dead_letters
        count = partition_counts(admin_config(settings), [self.topic]).get(self.topic)
        if count is None:
            raise ConfigurationError(
                f"the dead-letter topic {self.topic} does not exist", hint=f"`{CREATE}` creates it"
            )
        self._partitions = range(count)
        config: dict[str, Any] = consumer_config(settings) | {
            "group.id": replay_group(settings.kafka.group),
            "enable.partition.eof": True,
        }
        self.consumer = Consumer(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.consumer.close()

    def spans(self, since_ms: int | None = None) -> dict[int, Span]:
        """By partition, from the first letter (of that time, Unix milliseconds) to the end as it is now."""
        try:
            spans = {
                partition: Span(*self.consumer.get_watermark_offsets(self._at(partition), timeout=TIMEOUT_SECONDS))
                for partition in self._partitions
            }
            if since_ms is None:
                return spans
            wanted = [self._at(partition, since_ms) for partition in self._partitions]
            starts = {p.partition: p.offset for p in self.consumer.offsets_for_times(wanted, timeout=TIMEOUT_SECONDS)}
        except KafkaException as error:
            raise stopping(f"reading the offsets of {self.topic}", error_of(error)) from None
        # Behind the last record, librdkafka answers with a negative number that stands for the end.
        return {p: Span(starts[p] if starts[p] >= 0 else span.end, span.end) for p, span in spans.items()}

    def read(self, spans: Mapping[int, Span]) -> Iterator[Letter]:
        """The letters within, in offset order in each partition. Raises TransportError."""
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
            yield from self._letters(events, ends)

    def letter(self, partition: int, offset: int) -> Letter:
        """The one that stands there. Raises ConfigurationError when none does."""
        span = self.spans().get(partition)
        if span is None:
            raise ConfigurationError(f"{self.topic} has no partition {partition}", hint="`dlq list` names the letters")
        if span.start <= offset < span.end:
            found = next(self.read({partition: Span(offset, span.end)}), None)
            if found is not None and found.offset == offset:
                return found
        raise ConfigurationError(
            f"no dead letter stands at {partition}:{offset}; the partition holds offsets {span.start} to {span.end - 1}",
            hint="`dlq list` names the letters; not every offset is one, transactions leave marks",
        )

    def _consume(self) -> list[Message]:
        try:
            events: list[Message] = self.consumer.consume(_CHUNK, 0.2)
        except KafkaException as error:
            raise stopping(f"reading {self.topic}", error_of(error)) from None
        return events

    def _letters(self, events: list[Message], ends: dict[int, int]) -> Iterator[Letter]:
        """Letters among the events; a partition whose end has come is taken out of ``ends``."""
        wanted = []
        for event in events:
            partition, offset = event.partition(), event.offset()
            error = event.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public code
                if error.fatal() or not _passes(error):
                    raise stopping(f"reading {self.topic}", error)
                continue
            if partition is None or offset is None or partition not in ends:
                continue
            if error is None and offset < ends[partition]:
                wanted.append(event)
            if error is not None or offset + 1 >= ends[partition]:
                # An end that comes early is that of the committed letters: what an open transaction holds is still to come.
                self.reached[partition] = ends.pop(partition) if error is None else min(offset, ends.pop(partition))
        if wanted:
            batch = batch_of(wanted)
            yield from (letter_of(batch.record(row)) for row in range(len(batch)))

    def _at(self, partition: int, offset: int = 0) -> Position:
        return Position(self.topic, partition, offset)


def _passes(error: KafkaError) -> bool:
    """Whether librdkafka goes on by itself; silence then has its own limit."""
    return error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)  # noqa: SLF001
