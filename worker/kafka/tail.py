"""A topic's records as they come, turn by turn: what is new since the last turn."""

from __future__ import annotations

from collections.abc import Iterator

from worker.kafka.spans import Span, TopicReader
from worker.records import RecordBatch
from worker.settings import Settings


class TopicTail(TopicReader):
    """A context manager: close it."""

    def __init__(self, settings: Settings, topic: str, group: str, *, most: int | None = None) -> None:
        """``most``: so many offsets of each partition at the first turn, the latest; None: all that there are.

        Raises TransportError (no broker) and ConfigurationError (no such topic).
        """
        super().__init__(settings, topic, group)
        self._most = most
        self._next: dict[int, int] = {}

    def new(self) -> Iterator[RecordBatch]:
        """What can be read and has not been given yet, in offset order in each partition. Raises TransportError."""
        spans = {}
        for partition, span in self.spans().items():
            first = span.start if self._most is None else max(span.start, span.end - self._most)
            spans[partition] = Span(max(self._next.get(partition, first), span.start), span.end)
        yield from self.read(spans)
        for partition, span in spans.items():
            # What an open transaction still holds back is for a later turn.
            self._next[partition] = self.reached.get(partition, span.start)
