"""The producing edges in memory, one for each guarantee."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from worker.errors import DeliveryAborted, WorkerError
from worker.records import Committable, OutgoingBatch
from worker.testing.kafka import InMemoryKafka, committed_offsets


class InMemorySink:
    """Implements ``ports.RecordSink`` exactly once. Made anew with the same id it fences the older one.

    An error other than DeliveryAborted leaves the transaction open, as the death of a process does. With ``behind`` a
    commit happens as late as it may: at the next delivery, when there is nothing to do, or at the end.
    """

    def __init__(
        self, kafka: InMemoryKafka, group: str, transactional_id: str = "worker-0", *, behind: bool = False
    ) -> None:
        self._group = group
        self._producer = kafka.producer(transactional_id)
        self._behind = behind
        self._under_way = False
        self._failed = False

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        self.settle()
        self._producer.begin()
        try:
            for batch in outgoing:
                self._producer.produce(batch)
            self._producer.send_offsets(self._group, committable)
            self._under_way = self._behind and not self._failed
            if not self._under_way:
                self._producer.commit()
                self._failed = False
        except DeliveryAborted:
            self._producer.abort()
            raise

    def settle(self) -> None:
        if not self._under_way:
            return
        self._under_way = False
        try:
            self._producer.commit()
        except DeliveryAborted as error:
            self._failed = True
            self._producer.abort()
            raise DeliveryAborted(error.message, earlier=True) from None

    def close(self) -> None:
        with contextlib.suppress(WorkerError):
            self.settle()


class InMemoryAtLeastOnceSink:
    """Implements ``ports.RecordSink`` at least once: what was written stays, whether or not the commit succeeds."""

    def __init__(self, kafka: InMemoryKafka, group: str) -> None:
        self._kafka = kafka
        self._group = kafka.group(group)

    def deliver(self, outgoing: Sequence[OutgoingBatch], committable: Committable) -> None:
        for batch in outgoing:
            with self._kafka.faults.around("produce"):
                self._kafka.write(batch)
        with self._kafka.faults.around("commit"):
            self._group.commit(committable.generation, committed_offsets(committable))

    def settle(self) -> None:
        """Nothing is under way between deliveries."""

    def close(self) -> None:
        """Nothing is in flight between deliveries."""
