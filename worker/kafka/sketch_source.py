"""The monitor's consuming edge: one member of its group, of which one has the partition of the sketches.

Nothing is read before ``start`` says from where: the monitor's state does, and not the group's offset, for only the
state knows what is in it already. The callbacks of a rebalance run within ``poll``, and only note what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position

from worker.errors import TransportError
from worker.kafka.errors import client, error_of, is_passing, stopping
from worker.kafka.source import PASSING
from worker.ports import Taken

TIMEOUT_SECONDS = 10.0
STABLE_SECONDS = 2.0
MOST_SKETCHES = 1_000
PARTITION = 0  # the only one that workers write sketches to


def monitor_group(group: str) -> str:
    """The group of the monitors of a group of workers."""
    return f"{group}-drift"


class KafkaSketchSource:
    """Implements ``ports.SketchSource``."""

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        self._place = Position(topic, PARTITION)
        self._topic = topic
        self._consumer = client(Consumer, {**config, "enable.partition.eof": True})
        self._ours = self._anew = False
        self._reached = -1  # not started
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def poll(self, seconds: float) -> Taken:
        try:
            events = self._consumer.consume(MOST_SKETCHES, seconds)
        except KafkaException as error:
            raise stopping("consume", error_of(error)) from None
        ours = self._ours and bool(self._consumer.memberid())  # thrown out while we slept: the next poll says so
        anew, self._anew = self._anew, False
        if not ours or anew or self._reached < 0:
            return Taken(ours, anew)
        values = [value for event in events if (value := self._value(event)) is not None]
        return Taken(
            ours=True, values=values, reached=self._reached, generation=self._consumer.consumer_group_metadata()
        )

    def committed(self) -> tuple[int, str] | None:
        try:
            # As long as an open transaction holds the offset, the client goes on asking.
            (found,) = self._consumer.committed([self._place], timeout=STABLE_SECONDS)
        except KafkaException as exception:
            if is_passing(error := error_of(exception)):
                return None
            raise stopping("reading the committed offset", error) from None
        return max(-1, found.offset), found.metadata or ""

    def start(self, offset: int | None) -> int:
        try:
            if offset is None:
                offset, _ = self._consumer.get_watermark_offsets(self._place, timeout=TIMEOUT_SECONDS)
            self._consumer.incremental_unassign([self._place])
            self._consumer.incremental_assign([Position(self._topic, PARTITION, offset)])
        except KafkaException as error:
            raise stopping(f"reading {self._topic}", error_of(error)) from None
        self._reached = offset
        return offset

    def close(self) -> None:
        self._consumer.close()

    def _value(self, event: Message) -> tuple[int, bytes | None] | None:
        """A sketch; None for what is none, and for what was fetched before ``start``."""
        error, offset = event.error(), event.offset()
        if event.partition() != PARTITION:
            return None
        if error is None:
            assert offset is not None
            self._reached = offset + 1
            value = event.value()
            return offset, value if isinstance(value, bytes) else None
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public code
            self._reached = max(self._reached, offset or 0)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            self._check_reach()
        elif error.fatal() or error.code() not in PASSING:
            raise stopping("consume", error)
        return None

    def _check_reach(self) -> None:
        """Raises TransportError when what comes next is gone; else the error was about the time before ``start``."""
        low, high = self._consumer.get_watermark_offsets(self._place, timeout=TIMEOUT_SECONDS)
        if not low <= self._reached <= high:
            raise TransportError(
                f"{self._topic}[{PARTITION}]: the sketches from offset {self._reached} on are gone (retention has passed them)",
                hint="windows are short of them; `prediction-worker monitor --from-start` begins again with those that there are",
            )

    def _on_assign(self, _: Consumer, positions: list[Position]) -> None:
        if any(position.partition == PARTITION for position in positions):
            self._ours = self._anew = True
            self._reached = -1

    def _on_revoke(self, _: Consumer, positions: list[Position]) -> None:
        if any(position.partition == PARTITION for position in positions):
            self._ours = False
