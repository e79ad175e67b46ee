"""One partition's log, with what transactions do to it: markers that take an offset, and a last stable offset."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from worker.records import Record, TopicPartition


class State(enum.Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class Transaction:
    """Decided once for all partitions that it wrote to, which is what makes it atomic."""

    state: State = State.OPEN
    logs: dict[TopicPartition, PartitionLog] = field(default_factory=dict)

    def end(self, state: State) -> None:
        """Decide it, and write the marker to each of its partitions."""
        self.state = state
        for log in self.logs.values():
            log.mark(self)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, or (None) the marker that ends a transaction."""

    offset: int
    record: Record | None
    transaction: Transaction | None = None

    @property
    def visible(self) -> bool:
        """To a read_committed reader, given that its offset is below the last stable one."""
        if self.record is None:
            return False
        return self.transaction is None or self.transaction.state is State.COMMITTED


@dataclass(slots=True)
class PartitionLog:
    """``start`` is the first offset that retention has left."""

    at: TopicPartition
    start: int = 0
    _entries: list[Entry] = field(default_factory=list)
    _open: dict[Transaction, int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The high watermark: the next record's offset."""
        return len(self._entries)

    @property
    def stable_end(self) -> int:
        """The last stable offset: where the first open transaction begins, or the end."""
        return min(self._open.values(), default=self.end)

    def append(self, record: Record, transaction: Transaction | None = None) -> None:
        if transaction is not None:
            self._open.setdefault(transaction, self.end)
            transaction.logs[self.at] = self
        placed = replace(record, topic=self.at.topic, partition=self.at.partition, offset=self.end)
        self._entries.append(Entry(self.end, placed, transaction))

    def mark(self, transaction: Transaction) -> None:
        self._entries.append(Entry(self.end, None, transaction))
        del self._open[transaction]

    def entries(self, begin: int, end: int) -> Iterator[Entry]:
        """What retention has left of ``[begin, end)``."""
        for offset in range(max(begin, self.start), min(end, self.end)):
            yield self._entries[offset]
