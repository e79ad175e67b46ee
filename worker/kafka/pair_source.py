"""The joiner's consuming edge: a member of the group that shares the labels' partitions, and reads the predictions of the same.

Only the labels are consumed as a group: whoever has a partition of them reads that of the predictions, whose offset travels
in the metadata of the labels' committed offset. So one commit says where both have come to, and the two can't be given
to different members. Nothing is read before ``start`` says from where. The callbacks of a rebalance run within ``poll``,
and only note what happened.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient

from worker.errors import TransportError
from worker.kafka.batches import batch_of
from worker.kafka.config import admin_config, consumer_config
from worker.kafka.errors import client, error_of, is_passing, stopping
from worker.kafka.membership import is_member
from worker.kafka.offsets import ends
from worker.kafka.source import PASSING
from worker.kafka.spans import Span, TopicReader
from worker.ports import Offsets, Pairs
from worker.records import RecordBatch, TopicPartition
from worker.settings import Settings

_LOG = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10.0
STABLE_SECONDS = 2.0
MOST_RECORDS = 5_000
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - a public code
_NO_OFFSET = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001


class KafkaPairSource:
    """Implements ``ports.PairSource``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = settings.topics
        config = consumer_config(settings) | {
            "group.id": settings.kafka.joiner_group,
            "enable.partition.eof": True,
        }
        self._admin = client(AdminClient, admin_config(settings))
        self._labels = _Reader(client(Consumer, config), settings.topics.labels)
        self._predictions = _Reader(client(Consumer, config), settings.topics.predictions)
        self._ours: set[int] = set()
        self._anew: set[int] = set()  # ours, and not told of yet
        self._gone: set[int] = set()
        topics, noting = [settings.topics.labels], {"on_revoke": self._on_revoke, "on_lost": self._on_revoke}
        self._labels.consumer.subscribe(topics, on_assign=self._on_assign, **noting)

    def poll(self, seconds: float) -> Pairs:
        labels = self._labels.take(0)
        predictions = self._predictions.take(seconds)
        generation = self._labels.consumer.consumer_group_metadata()
        member = is_member(self._labels.consumer, generation)
        if not member:  # thrown out while we slept: the next poll says so
            self._gone |= self._ours
        gone, self._gone = frozenset(self._gone), set()
        for partition in gone:
            self._stop(partition)
        assigned = self._committed(self._anew & self._ours) if member else {}
        self._anew -= assigned.keys()
        reached = {
            p: (self._predictions.reached[p], end)
            for p, end in self._labels.reached.items()
            if p in self._predictions.reached
        }
        return Pairs(
            assigned=assigned,
            unassigned=gone,
            predictions=_batch(predictions, reached),
            labels=_batch(labels, reached),
            reached=reached,
            ended=frozenset(self._predictions.ended),
            generation=generation,
            lag=self._predictions.lag() | self._labels.lag(),
        )

    def beginning(self, partition: int) -> tuple[int, int]:
        return self._predictions.low(partition), self._labels.low(partition)

    def again(self, predictions: Mapping[int, Offsets], labels: Mapping[int, Offsets]) -> Iterator[RecordBatch]:
        for reader, wanted in ((self._predictions, predictions), (self._labels, labels)):
            spans = {p: Span(self._kept(reader, p, first), end) for p, (first, end) in wanted.items() if first < end}
            if not spans:
                continue
            with TopicReader(self._settings, reader.topic, self._settings.kafka.joiner_group) as again:
                for batch in again.read(spans):
                    self._stay()
                    yield batch

    def start(self, starts: Mapping[int, Offsets]) -> None:
        for partition, (predictions, labels) in starts.items():
            if partition in self._ours and partition not in self._gone:
                self._predictions.start(partition, predictions)
                self._labels.start(partition, labels)

    def labels_ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        try:
            return ends(self._admin, self._topics.labels, partitions)
        except KafkaException as exception:
            if is_passing(error := error_of(exception)):
                return {}
            raise stopping("asking for the labels' ends", error) from None

    def hold(self, predictions: frozenset[int], labels: frozenset[int]) -> None:
        self._predictions.hold(predictions)
        self._labels.hold(labels)

    def rewind(self) -> None:
        for partition in self._ours:
            self._stop(partition)
        self._anew |= self._ours

    def close(self) -> None:
        self._predictions.consumer.close()
        self._labels.consumer.close()

    def _committed(self, partitions: set[int]) -> dict[int, tuple[int, str]]:
        """Nothing as long as an open transaction may still move one of them: the client goes on asking for a while."""
        if not partitions:
            return {}
        wanted = [Position(self._topics.labels, partition) for partition in sorted(partitions)]
        try:
            found = self._labels.consumer.committed(wanted, timeout=STABLE_SECONDS)
        except KafkaException as exception:
            if is_passing(error := error_of(exception)):
                return {}
            raise stopping("reading the committed offsets", error) from None
        return {p.partition: (max(-1, p.offset), p.metadata or "") for p in found if p.error is None}

    def _kept(self, reader: _Reader, partition: int, first: int) -> int:
        low = reader.low(partition)
        if low > first:
            _LOG.warning(
                "%s[%d]: retention has passed offsets %d to %d, within the horizon; what they were is not joined",
                *(reader.topic, partition, first, low),
            )
        return max(low, first)

    def _stay(self) -> None:
        """Stay in the group; what is fetched meanwhile is of partitions that have not started, or is fetched again."""
        self._labels.put_back(self._labels.take(0))

    def _stop(self, partition: int) -> None:
        self._predictions.stop(partition)
        self._labels.forget(partition)

    def _on_assign(self, _: Consumer, positions: list[Position]) -> None:
        partitions = {position.partition for position in positions}
        self._ours |= partitions
        self._anew |= partitions

    def _on_revoke(self, _: Consumer, positions: list[Position]) -> None:
        partitions = {position.partition for position in positions}
        self._ours -= partitions
        self._anew -= partitions
        self._gone |= partitions


class _Reader:
    """Reads partitions of one topic that have been started; ``reached``: their next offsets.

    ``ended``: those of which there was nothing more to read when that was last heard.
    """

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self.consumer, self.topic = consumer, topic
        self.reached: dict[int, int] = {}
        self.ended: set[int] = set()
        self._held: frozenset[int] = frozenset()
        self._waiting: list[Message] = []

    def take(self, seconds: float) -> list[Message]:
        """Records of partitions that have started; at most so many seconds are waited for some."""
        waiting, self._waiting = self._waiting, []
        try:
            events = self.consumer.consume(MOST_RECORDS, seconds)
        except KafkaException as error:
            raise stopping("consume", error_of(error)) from None
        return [*waiting, *(event for event in events if self._is_record(event))]

    def lag(self) -> dict[TopicPartition, int]:
        """Of partitions that have started, by the end that came with the latest answer."""
        lags = {}
        for partition, offset in self.reached.items():
            _, end = self.consumer.get_watermark_offsets(Position(self.topic, partition), cached=True)
            if end >= 0:
                lags[TopicPartition(self.topic, partition)] = max(0, end - offset)
        return lags

    def put_back(self, records: Sequence[Message]) -> None:
        """To be taken the next time."""
        self._waiting = list(records)

    def low(self, partition: int) -> int:
        """The offset of the first record that there is."""
        try:
            low, _ = self.consumer.get_watermark_offsets(Position(self.topic, partition), timeout=TIMEOUT_SECONDS)
        except KafkaException as error:
            raise stopping(f"reading {self.topic}", error_of(error)) from None
        return int(low)

    def start(self, partition: int, offset: int) -> None:
        place = Position(self.topic, partition, offset)
        try:
            if partition in {one.partition for one in self.consumer.assignment()}:
                self.consumer.incremental_unassign([place])
            self.consumer.incremental_assign([place])
            self.consumer.resume([place])
        except KafkaException as error:
            raise stopping(f"reading {self.topic}", error_of(error)) from None
        self.reached[partition] = offset

    def hold(self, partitions: frozenset[int]) -> None:
        """Of the partitions that have started, these are not read for now."""
        started = self.reached.keys()
        wanted = partitions & started
        for change, which in ((self.consumer.pause, wanted - self._held), (self.consumer.resume, self._held - wanted)):
            if places := [Position(self.topic, partition) for partition in which & started]:
                change(places)
        self._held = wanted

    def stop(self, partition: int) -> None:
        """Of a consumer that is in no group."""
        if partition in self.reached:
            self.consumer.incremental_unassign([Position(self.topic, partition)])
            self.forget(partition)

    def forget(self, partition: int) -> None:
        self.reached.pop(partition, None)
        self.ended.discard(partition)
        self._held -= {partition}
        self._waiting = [one for one in self._waiting if one.partition() != partition]

    def _is_record(self, event: Message) -> bool:
        """Of a partition that has started; then it is noted how far it has come."""
        error, partition, offset = event.error(), event.partition(), event.offset()
        if error is not None and error.code() not in (_EOF, _NO_OFFSET):
            if error.fatal() or error.code() not in PASSING:
                raise stopping(f"reading {self.topic}", error)
            return False
        if partition is None or partition not in self.reached:
            return False
        if error is not None and error.code() == _NO_OFFSET:
            self._check_reach(partition)
            return False
        if error is not None:
            self.reached[partition] = max(self.reached[partition], offset or 0)
            self.ended.add(partition)
            return False
        assert offset is not None
        if offset < self.reached[partition]:
            return False
        self.reached[partition] = offset + 1
        self.ended.discard(partition)
        return True

    def _check_reach(self, partition: int) -> None:
        """Raises TransportError when what comes next is gone; else the error was about the time before ``start``."""
        low, high = self.consumer.get_watermark_offsets(Position(self.topic, partition), timeout=TIMEOUT_SECONDS)
        if not low <= self.reached[partition] <= high:
            raise TransportError(
                f"{self.topic}[{partition}]: the records from offset {self.reached[partition]} on are gone "
                "(retention has passed them, or the topic was created anew)",
                hint="the joiner was away for too long; delete its group's offsets to begin again with what there is",
            )


def _batch(records: Sequence[Message], reached: Mapping[int, Offsets]) -> RecordBatch | None:
    """Of partitions that are still ours."""
    left = [record for record in records if record.partition() in reached]
    return batch_of(left) if left else None
