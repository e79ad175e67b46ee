"""Dead letters back to the input topic, each once: the records and the progress in one transaction.

Rules: our transactional id is taken before the progress is read, so that an earlier replay, dead or alive, can commit
no more; progress is committed with the records that it is about; a letter replayed too often stays where it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from worker.clock import SystemClock
from worker.errors import ConfigurationError, DeliveryAborted, TransportError
from worker.kafka.config import admin_config, producer_config
from worker.kafka.dead_letter_topic import DeadLetterTopic
from worker.kafka.letters import Letter, replayed_headers
from worker.kafka.replay_plan import ReplayRequest, Verdict, Walk, replay_pass
from worker.kafka.spans import Span
from worker.kafka.topics import partition_counts
from worker.kafka.transactional import TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.records import Committable, HeaderColumns, OutgoingBatch, Slices, TopicPartition
from worker.settings import Settings

_LOG = logging.getLogger(__name__)
CHUNK_RECORDS = 500
CHUNK_BYTES = 8_000_000
_ATTEMPTS = 5


@dataclass(slots=True)
class _Chunk:
    """Letters to replay, and how far each partition has been gone through with them."""

    letters: list[Letter] = field(default_factory=list)
    reached: dict[int, int] = field(default_factory=dict)
    size_bytes: int = 0

    def add(self, letter: Letter, verdict: Verdict) -> None:
        self.reached[letter.partition] = letter.offset + 1
        if verdict is Verdict.REPLAY:
            self.letters.append(letter)
            self.size_bytes += len(letter.key or b"") + len(letter.value or b"")

    def is_full(self, records: int) -> bool:
        return len(self.letters) >= records or self.size_bytes >= CHUNK_BYTES

    def outgoing(self, topic: str) -> tuple[OutgoingBatch, ...]:
        if not self.letters:
            return ()
        partitions = [letter.origin.partition if letter.origin else -1 for letter in self.letters]
        return (
            OutgoingBatch(
                topic=topic,
                partition=np.array(partitions, np.int64),
                keys=Slices.of([letter.key for letter in self.letters]),
                values=Slices.of([letter.value for letter in self.letters]),
                headers=HeaderColumns.of(enumerate(map(replayed_headers, self.letters))),
            ),
        )


def replay(
    settings: Settings,
    request: ReplayRequest,
    *,
    on_chunk: Callable[[int], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    chunk_records: int = CHUNK_RECORDS,
) -> Counter[Verdict]:
    """Replay; letters by verdict. ``on_chunk`` is told how many were replayed so far, after each commit.

    Ends after the chunk in hand once ``should_stop`` says so. Raises ConfigurationError, Fenced (another replay of this
    group has begun) and TransportError; whatever was committed by then is not replayed again.
    """
    clock = SystemClock()
    watchdog = Watchdog(settings.delivery.watchdog_seconds, clock)
    watchdog.start()
    try:
        config = producer_config(settings, f"{settings.kafka.group}-replay")
        sink = TransactionalSink(config, watchdog, clock, settings.delivery.broker_timeout_seconds)
        with contextlib.closing(sink), DeadLetterTopic(settings) as letters:
            walk = Walk.over(letters, settings, request)
            writer = _Writer(settings, letters, sink, walk)
            verdicts: Counter[Verdict] = Counter()
            for chunk in _chunks(walk, letters, verdicts, should_stop, chunk_records):
                writer.write(chunk)
                on_chunk(verdicts[Verdict.REPLAY])
            return verdicts
    finally:
        watchdog.stop()


def _chunks(
    walk: Walk,
    letters: DeadLetterTopic,
    verdicts: Counter[Verdict],
    should_stop: Callable[[], bool],
    chunk_records: int,
) -> Iterator[_Chunk]:
    """What to write, transaction by transaction; counts the verdicts as it goes."""
    chunk = _Chunk()
    for letter, verdict in walk.verdicts(letters):
        chunk.add(letter, verdict)
        verdicts[verdict] += 1
        last = should_stop() or (verdict is Verdict.REPLAY and verdicts[verdict] == walk.request.most)
        if last or chunk.is_full(chunk_records):
            yield chunk
            chunk = _Chunk()
        if last:
            return
    chunk.reached = dict(letters.reached)
    if chunk.reached:
        yield chunk


class _Writer:
    """Writes chunks and the progress made with them, each chunk in one transaction."""

    def __init__(self, settings: Settings, letters: DeadLetterTopic, sink: TransactionalSink, walk: Walk) -> None:
        self._input = settings.topics.input
        self._partitions = partition_counts(admin_config(settings), [self._input]).get(self._input, 0)
        self._request = walk.request
        self._letters = letters
        self._sink = sink
        self._spans = walk.spans
        self._before = walk.progress
        # Starting over is forgotten progress: for all partitions, with the first chunk.
        self._forgotten = set(walk.progress) if walk.request.from_start else set[int]()

    def write(self, chunk: _Chunk) -> None:
        outgoing = chunk.outgoing(self._input)
        self._check_partitions(outgoing)
        after = {p: self._before[p] for p in self._forgotten}
        for partition, reached in chunk.reached.items():
            made = replay_pass(self._request, Span(self._spans[partition].start, reached))
            after[partition] = self._before[partition].after(made)
        places = {p: TopicPartition(self._letters.topic, p) for p in after}
        committable = Committable(
            offsets={places[p]: progress.end() for p, progress in after.items()},
            metadata={places[p]: progress.text() for p, progress in after.items()},
            generation=self._letters.consumer.consumer_group_metadata(),
        )
        self._deliver(outgoing, committable)
        self._forgotten.clear()

    def _deliver(self, outgoing: tuple[OutgoingBatch, ...], committable: Committable) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._sink.deliver(outgoing, committable)
            except DeliveryAborted as error:
                _LOG.warning("replay: %s; trying again (%d of %d)", error, attempt, _ATTEMPTS)
            else:
                return
        raise TransportError(
            f"{_ATTEMPTS} transactions in a row were aborted; what was replayed before them stands",
            hint="say `dlq replay` again to go on",
        )

    def _check_partitions(self, outgoing: tuple[OutgoingBatch, ...]) -> None:
        highest = max((int(batch.partition.max()) for batch in outgoing), default=-1)
        if highest >= self._partitions:
            raise ConfigurationError(
                f"a letter came from {self._input}[{highest}], but the topic has {self._partitions} partitions",
                hint="was the input topic created anew? add partitions to it, or leave those letters out by a filter",
            )
