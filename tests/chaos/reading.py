"""The topics of a campaign that has ended, fetched and decoded for the checker; and the group's offsets on the way.

Decoded by fastavro and the schema file alone, not by the worker's own code. Whatever can't be decoded raises: an
exception in here is a failed campaign.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import fastavro
import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.chaos.checker import DeadLetters, GroupOffsets, ObjectArray, Predictions, Verdict, check
from tests.chaos.stream import Stream
from tests.support.kafka import read_all
from worker.records import IntArray, Record

PREDICTION = fastavro.parse_schema(json.loads(Path("schemas/prediction.avsc").read_text("utf-8")))
HEADER_BYTES = 10
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Outputs:
    """What can be seen of both output topics; ``hung`` says where a transaction hangs."""

    predictions: list[Record]
    letters: list[Record]
    hung: list[str]


def judge(
    bootstrap: str, topic: str, stream: Stream, committed: dict[int, int], samples: Sequence[dict[int, int]]
) -> Verdict:
    """Read input, predictions and dead letters, and check them. Raises when the input is not what was produced."""
    found = read_outputs(bootstrap, topic, stream)
    offsets = GroupOffsets(committed, samples)
    return check(stream, to_predictions(found.predictions), to_dead_letters(found.letters), offsets, found.hung)


def read_outputs(bootstrap: str, topic: str, stream: Stream) -> Outputs:
    """Raises when the input is not what was produced."""
    names = (topic, f"{topic}.predictions", f"{topic}.dlq")
    with ThreadPoolExecutor(len(names)) as pool:
        (written, _), (predictions, hung), (letters, hung_too) = pool.map(partial(_read, bootstrap), names)
    produced = {(int(p), int(o)): v for p, o, v in zip(stream.partition, stream.offset, stream.value, strict=True)}
    assert produced == {(r.partition, r.offset): r.value for r in written}, "the input is not what was produced"
    return Outputs(predictions, letters, hung + hung_too)


def _read(bootstrap: str, topic: str) -> tuple[list[Record], list[str]]:
    """What can be seen of the topic; and, should a transaction hang, where."""
    try:
        return read_all(bootstrap, topic, "read_committed"), []
    except AssertionError as stuck:
        return read_all(bootstrap, topic, "read_uncommitted"), [str(stuck)]


def to_predictions(records: Sequence[Record]) -> Predictions:
    values: list[Any] = [_decoded(record.value) for record in records]
    return Predictions(
        partition=_numbers(record.partition for record in records),
        source_partition=_numbers(value["source_partition"] for value in values),
        source_offset=_numbers(value["source_offset"] for value in values),
        key=_objects([record.key for record in records]),
        event_id=_objects([value["event_id"] for value in values]),
        score=np.array([value["score"] for value in values], np.float64),
    )


def to_dead_letters(records: Sequence[Record]) -> DeadLetters:
    headers = [dict(record.headers) for record in records]
    return DeadLetters(
        partition=_numbers(record.partition for record in records),
        source_partition=_numbers(int(h["__dlq.errors.partition"] or b"") for h in headers),
        source_offset=_numbers(int(h["__dlq.errors.offset"] or b"") for h in headers),
        key=_objects([record.key for record in records]),
        value=_objects([record.value for record in records]),
        reason=_objects([(h["reason"] or b"").decode() for h in headers]),
    )


_ELECTING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


class CommittedOffsets:
    """The group's committed offsets, asked from outside; as a context manager it samples them in a thread."""

    def __init__(self, bootstrap: str, topic: str, group: str, partitions: int) -> None:
        # read_uncommitted: what was committed last, even while a transaction is about to commit more.
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_uncommitted", "log_level": 0}
        )
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="observer", daemon=True)
        self.samples: list[dict[int, int]] = []

    def now(self, timeout_seconds: float = 10.0) -> dict[int, int]:
        """Next offset of each partition that has one."""
        with self._lock:
            found = self._committed(timeout_seconds)
            offsets = {place.partition: place.offset for place in found if place.offset >= 0}
            self.samples.append(offsets)
            return offsets

    def total(self) -> int:
        return sum(self.now().values())

    def _committed(self, timeout_seconds: float) -> list[TopicPartition]:
        """On a new broker, once it has elected the group's coordinator."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return list(self._consumer.committed(self._places, timeout=timeout_seconds))
            except KafkaException as error:
                if error.args[0].code() not in _ELECTING or time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                self.now(timeout_seconds=2.0)
            except KafkaException:
                continue  # the broker is paused: the next sample will do


def _decoded(value: bytes | None) -> Any:
    assert value is not None
    assert value[:2] == b"\xc3\x01"
    stream = io.BytesIO(value[HEADER_BYTES:])
    prediction = fastavro.schemaless_reader(stream, PREDICTION, None)
    assert not stream.read(), "bytes follow a prediction"
    return prediction


def _numbers(items: Any) -> IntArray:
    return np.array(list(items), np.int64)


def _objects(items: list[Any]) -> ObjectArray:
    array = np.empty(len(items), object)
    array[:] = items
    return array
