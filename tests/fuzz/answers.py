"""Follows both output topics while the worker writes them, and counts what is committed there."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

BATCH = 10_000
POLL_SECONDS = 0.05


class Answers:
    """A context manager; it joins no group."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "answers",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        outputs = (f"{topic}.predictions", f"{topic}.dlq")
        self._consumer.assign([TopicPartition(o, p, OFFSET_BEGINNING) for o in outputs for p in range(partitions)])
        self.count = 0

    def reach(self, count: int, alive: Callable[[], bool], stalled_seconds: float) -> bool:
        """Return when there are so many; False if the worker ends before, or answers nothing for so long."""
        answered_at = time.monotonic()
        while self.count < count:
            new = sum(message.error() is None for message in self._consumer.consume(BATCH, timeout=POLL_SECONDS))
            self.count += new
            now = time.monotonic()
            answered_at = now if new else answered_at
            if not alive() or now - answered_at > stalled_seconds:
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
