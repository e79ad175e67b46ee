"""The seams between the loop and the world; each has a real edge and an in-memory one (``worker.testing``).

The contract suite (``tests/contract``) runs on both, so that what holds in memory holds on a broker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from worker.columns import Columns, Scores
from worker.records import Committable, HeaderColumns, OutgoingBatch, RecordBatch, Refusals, TopicPartition, value_class


@value_class
class FetchLimit:
    """How much one poll may return, and how long it may wait for the first record.

    ``max_records`` 0: nothing is taken, and the group is served for so long.
    """

    max_records: int
    max_bytes: int
    timeout_seconds: float


@value_class
class Fetch:
    """What one poll brought.

    ``assigned`` holds the partitions that are ours since the last poll, each with the metadata string that was
    committed for it (empty: none), so that state kept there is known before their first record; ``unassigned`` those
    that no longer are. ``generation`` is handed on in the batch's ``Committable``.
    """

    batch: RecordBatch | None = None
    generation: object = None
    assigned: Mapping[TopicPartition, str] = field(default_factory=dict)
    unassigned: frozenset[TopicPartition] = frozenset()


class RecordSource(Protocol):
    """One member of the consumer group."""

    def poll(self, limit: FetchLimit) -> Fetch:
        """Block for at most ``timeout_seconds`` until there is a record, then take what else is there.

        Records of a partition come in offset order, each offset once unless rewound. Partitions are given up only in
        here: a batch whose partitions changed hands while it was gathered is never returned.
        Raises TransportError (fatal client error, offset out of range).
        """
        ...

    def rewind(self, batch: RecordBatch) -> None:
        """Read the batch again: the next poll starts at its first offset, on each partition that is still ours."""
        ...

    def lag(self) -> Mapping[TopicPartition, int]:
        """Records between our position and the end, for each partition of ours where that is known."""
        ...

    def partitions(self) -> frozenset[TopicPartition]:
        """Those that are ours at the moment."""
        ...

    def close(self) -> None:
        """Leave the group, so that others take our partitions over at once."""
        ...


class RecordSink(Protocol):
    """Where results become durable, together with the offsets of what they came of."""

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        """Write everything, then commit.

        It may be on its way still after a normal return, and is committed later, never before all of it is durable; the next
        delivery sees to that first. Raises DeliveryAborted: not committed (exactly once: nor visible), rewind; where it
        says so the delivery before, too. Fenced, TransportError: stop.
        """
        ...

    def settle(self) -> None:
        """While there is nothing to deliver, go on with what is on its way; does not wait. Raises as ``deliver`` does."""
        ...

    def close(self) -> None:
        """See what is on its way through, then end."""
        ...


class Predictor(Protocol):
    """A model, whole batches at a time."""

    def predict(self, columns: Columns) -> Scores:
        """Scores of all rows, in order; the same row gives the same bits whatever rows surround it.

        Raises whatever the model raises; the caller finds the rows at fault by bisecting.
        """
        ...

    def is_sound(self) -> bool:
        """Whether the model still predicts its golden rows: tells a model at fault from rows at fault."""
        ...


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds, from an arbitrary start, never going back."""
        ...


@value_class
class BatchReport:
    """What became of one delivered batch; seconds are durations. ``headers``: of its records, as they came."""

    records: int
    predictions: int
    tombstones: int
    refusals: Refusals
    input_bytes: int
    oldest_timestamp_ms: int
    decode_seconds: float
    validate_seconds: float
    predict_seconds: float
    encode_seconds: float
    count_seconds: float
    deliver_seconds: float
    lag: Mapping[TopicPartition, int]
    headers: HeaderColumns = field(default_factory=HeaderColumns.none, repr=False, compare=False)


class Observer(Protocol):
    """Told what happened, for metrics and logs; must be quick and must not raise."""

    def started(self) -> None: ...

    def progressed(self) -> None:
        """The loop has gone round once (with or without records)."""
        ...

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        """The lag after a round without records; otherwise it comes with the report."""
        ...

    def delivered(self, report: BatchReport) -> None: ...

    def aborted(self, error: Exception) -> None: ...

    def assignment(self, partitions: int) -> None: ...

    def stopped(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What one poll of the sketches brought: ``values`` as (offset, value), in offset order.

    ``ours``: whether the partition is ours; ``anew``: it came to us (back, or for the first time) in this poll, nothing is
    read before ``start``. ``reached``: the next offset, past transaction markers, too. ``generation``: see ``Fetch``.
    """

    ours: bool
    anew: bool = False
    values: Sequence[tuple[int, bytes | None]] = ()
    reached: int = 0
    generation: object = None


class SketchSource(Protocol):
    """One member of the monitors' group; the one that has the partition is active, the others stand by."""

    def poll(self, seconds: float) -> Taken:
        """Block for at most so long until there are sketches. The partition is given up only in here.

        Raises TransportError.
        """
        ...

    def committed(self) -> tuple[int, str] | None:
        """The group's offset (-1: none) and the metadata beside it; None: an open transaction may still move it."""
        ...

    def start(self, offset: int | None) -> int:
        """Read on from there (None: from the first sketch that there is); the offset."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Look:
    """The input and its groups at one moment.

    ``idle``: partitions of which the workers have committed everything that can be read; ``partitions``: how many there
    are. ``joined``: those of the idle ones of which the joiners have committed all predictions and labels, too. Whatever the
    sketches of those commits are, they lie below ``sketches_end``.
    """

    idle: frozenset[int]
    partitions: int
    sketches_end: int
    joined: frozenset[int] = frozenset()


class InputWatch(Protocol):
    def look(self) -> Look | None:
        """As of now; None: the broker did not answer this time. Raises TransportError."""
        ...

    def close(self) -> None: ...


class StateLog(Protocol):
    """The compacted topic with what the monitor remembers."""

    def latest(self, key: bytes) -> bytes | None:
        """The last committed value of the key, as far as it is visible yet. Raises TransportError."""
        ...


@dataclass(frozen=True, slots=True)
class Pairs:
    """What one poll brought a joiner: ``predictions`` and ``labels`` of partitions of the same numbers.

    ``assigned``: partitions that have come to us, each with the labels' offset that is committed (-1: none) and the metadata
    beside it; nothing is read of them before ``start``. ``unassigned``: those that are ours no more. ``reached``: by
    partition the next offsets of predictions and labels, past transaction markers, too. ``ended``: of which there was no
    further prediction to read when that was last heard. ``generation``: see ``Fetch``. ``lag``: what is left to read, of both
    topics; of one that is held, as of when it was last read.
    """

    assigned: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    unassigned: frozenset[int] = frozenset()
    predictions: RecordBatch | None = None
    labels: RecordBatch | None = None
    reached: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    ended: frozenset[int] = frozenset()
    generation: object = None
    lag: Mapping[TopicPartition, int] = field(default_factory=dict)


Offsets = tuple[int, int]


class PairSource(Protocol):
    """One member of the joiners' group: labels of its partitions, and the predictions of the same."""

    def poll(self, seconds: float) -> Pairs:
        """Block for at most so long until there is something. Partitions are given up only in here.

        Raises TransportError.
        """
        ...

    def beginning(self, partition: int) -> tuple[int, int]:
        """The offsets of the first prediction and of the first label that there are."""
        ...

    def again(self, predictions: Mapping[int, Offsets], labels: Mapping[int, Offsets]) -> Iterator[RecordBatch]:
        """Records of both topics between offsets (the second is the next one), by partition, each in offset order.

        Staying in the group meanwhile. What retention has passed is left out, and logged. Raises TransportError.
        """
        ...

    def start(self, starts: Mapping[int, Offsets]) -> None:
        """Read on from these offsets of predictions and labels, by partition."""
        ...

    def labels_ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """The next offsets behind the labels that there are by now; empty: the broker did not answer this time.

        Raises TransportError.
        """
        ...

    def hold(self, predictions: frozenset[int], labels: frozenset[int]) -> None:
        """Read nothing of these partitions for now, and of all others of ours."""
        ...

    def rewind(self) -> None:
        """The next poll gives all of our partitions anew."""
        ...

    def close(self) -> None: ...
