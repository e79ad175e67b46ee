"""The dead-letter topic, read back as letters; how it is read, ``spans`` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.errors import ConfigurationError
from worker.kafka.letters import Letter, letter_of
from worker.kafka.spans import Span, TopicReader
from worker.settings import Settings


def replay_group(group: str) -> str:
    """The group whose committed offsets say what has been replayed; nobody ever joins it."""
    return f"{group}.replay"


class DeadLetterTopic(TopicReader):
    """Reads letters. A context manager: close it."""

    def __init__(self, settings: Settings) -> None:
        """Raises TransportError (no broker) and ConfigurationError (no such topic)."""
        group = replay_group(settings.kafka.group)
        super().__init__(settings, settings.topics.dead_letters, group, role="dead-letter topic")

    def read_letters(self, spans: Mapping[int, Span]) -> Iterator[Letter]:
        """The letters within, in offset order in each partition. Raises TransportError."""
        for batch in self.read(spans):
            yield from (letter_of(batch.record(row)) for row in range(len(batch)))

    def letter(self, partition: int, offset: int) -> Letter:
        """The one that stands there. Raises ConfigurationError when none does."""
        span = self.spans().get(partition)
        if span is None:
            raise ConfigurationError(f"{self.topic} has no partition {partition}", hint="`dlq list` names the letters")
        if span.start <= offset < span.end:
            found = next(self.read_letters({partition: Span(offset, span.end)}), None)
            if found is not None and found.offset == offset:
                return found
        raise ConfigurationError(
            f"no dead letter stands at {partition}:{offset}; the partition holds offsets {span.start} to {span.end - 1}",
            hint="`dlq list` names the letters; not every offset is one, transactions leave marks",
        )
