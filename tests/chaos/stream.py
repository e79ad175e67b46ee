"""The input of a campaign: events whose every fate is known beforehand.

Ids are dense within a partition, keys count their own events, and the model's answer is a formula of the features; so
whatever becomes of an event, the checker can tell what should have. About 1 % of the events are bad, each in one of
the ways in ``BAD``.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, Message, Producer

from worker.avro.schema import parse_schema
from worker.records import FloatArray, IntArray

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Reading",
        "namespace": "chaos",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "key_sequence", "type": "long"},
            {"name": "x", "type": "double", "minimum": 0},
            {"name": "y", "type": "double"},
        ],
    }
)
GOOD = ""
# Reasons of refusal. The last comes of a row on which the model itself raises.
BAD = ("unknown_framing", "malformed", "trailing_bytes", "below_minimum", "model_raised")
KEYS_PER_PARTITION = 50
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Stream:
    """n events in the order in which they are produced; every member has length n.

    ``offset`` is the one that each event will have in its partition of an empty topic; ``reason`` is why it must be
    refused (``GOOD``: it must be predicted, with ``score``).
    """

    partition: IntArray
    offset: IntArray
    key: npt.NDArray[np.object_]
    key_sequence: IntArray
    event_id: npt.NDArray[np.object_]
    value: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    score: FloatArray

    def __len__(self) -> int:
        return len(self.partition)

    def first(self, count: int) -> Stream:
        """The first events: all that a campaign has produced so far."""
        return Stream(*(getattr(self, name)[:count] for name in self.__slots__))


def make_stream(count: int, *, partitions: int, seed: int, bad_ratio: float = 0.01) -> Stream:
    random = np.random.default_rng(seed)
    partition = random.integers(0, partitions, count)
    number = random.integers(0, KEYS_PER_PARTITION, count)
    offset = running_count(partition)
    key_sequence = running_count(partition * KEYS_PER_PARTITION + number)
    reason = np.where(random.random(count) < bad_ratio, random.choice(BAD, count), GOOD).astype(object)
    x, y = np.arange(count, dtype=np.float64), random.random(count)
    x[reason == "below_minimum"] = -1.0
    y[reason == "model_raised"] = -1.0
    keys = [f"key-{p}-{k}".encode() for p, k in zip(partition.tolist(), number.tolist(), strict=True)]
    ids = [f"{p}-{o}" for p, o in zip(partition.tolist(), offset.tolist(), strict=True)]
    rows = zip(ids, key_sequence.tolist(), x.tolist(), y.tolist(), reason.tolist(), strict=True)
    encode = _encoder()
    with np.errstate(invalid="ignore"):
        score = expected_score(x, y)
    return Stream(
        partition=partition,
        offset=offset,
        key=_objects(keys),
        key_sequence=key_sequence,
        event_id=_objects(ids),
        value=_objects([encode(*row) for row in rows]),
        reason=reason,
        score=score,
    )


def expected_score(x: FloatArray, y: FloatArray) -> FloatArray:
    """What the campaign's model predicts; x tells events apart, and a negative y is one that the model raises on."""
    score: FloatArray = 1 + 2 * np.sqrt(x) + 3 * np.sqrt(y)
    return score


def pack_model(to: Path) -> None:
    """A bundle of the model that ``expected_score`` is the formula of."""
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415 - a second; the checker's tests need none
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    from worker.models import pack  # noqa: PLC0415

    features = np.random.default_rng(0).random((500, 2)) * (100.0, 1.0)
    target = expected_score(features[:, 0], features[:, 1])
    model = make_pipeline(FunctionTransformer(np.sqrt), LinearRegression()).fit(features, target)
    pack(
        model,
        to=to,
        name="chaos",
        version="1.0.0",
        X_test=features,
        y_test=target,
        features=["x", "y"],
        schema=parse_schema(SCHEMA),
        task="regression",
    )


class StreamProducer:
    """Writes a stream to its topic, in order, and keeps count of what the broker has acknowledged."""

    def __init__(self, bootstrap: str, topic: str, stream: Stream) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": 2_000_000,
                "log_level": 0,
            }
        )
        self._topic = topic
        self._stream = stream
        self._misplaced: list[str] = []
        self.produced = 0
        self.acknowledged = 0

    def append(self, count: int) -> None:
        """Write the next events of the stream, and return when all are acknowledged."""
        end = min(self.produced + count, len(self._stream))
        for start in range(self.produced, end, CHUNK):
            self._produce(start, min(start + CHUNK, end))
        self.produced = end
        left = self._producer.flush(60)
        assert left == 0, f"{left} events were not acknowledged within 60 s"
        assert not self._misplaced, self._misplaced[:3]
        assert self.acknowledged == self.produced

    def append_steadily(self, events_per_second: float, until: threading.Event) -> None:
        """Go on appending, a tenth of a second's worth at a time, until told to stop or the stream ends."""
        portion = max(1, int(events_per_second / 10))
        due = time.monotonic()
        while not until.wait(max(0.0, due - time.monotonic())) and self.produced < len(self._stream):
            self.append(portion)
            due += 0.1

    def ends(self) -> dict[int, int]:
        """The end offset of each partition that has something."""
        partitions, counts = np.unique(self._stream.partition[: self.produced], return_counts=True)
        return dict(zip(partitions.tolist(), counts.tolist(), strict=True))

    def _produce(self, start: int, end: int) -> None:
        stream = self._stream
        for partition in np.unique(stream.partition[start:end]).tolist():
            rows = start + np.flatnonzero(stream.partition[start:end] == partition)
            messages = [{"value": stream.value[i], "key": stream.key[i]} for i in rows]
            taken = self._producer.produce_batch(self._topic, messages, partition, on_delivery=self._on_delivery)
            assert taken == len(messages)
        self._producer.poll(0)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._misplaced.append(str(error))
        self.acknowledged += 1


def _encoder() -> Callable[[str, int, float, float, str], bytes]:
    schema = parse_schema(SCHEMA)
    parsed = fastavro.parse_schema(json.loads(SCHEMA))
    prefix = b"\xc3\x01" + schema.fingerprint

    def encode(event_id: str, key_sequence: int, x: float, y: float, reason: str) -> bytes:
        body = io.BytesIO()
        body.write(prefix)
        value = {"id": event_id, "key_sequence": key_sequence, "x": x, "y": y}
        fastavro.schemaless_writer(body, parsed, value)
        encoded = body.getvalue()
        if reason == "unknown_framing":
            return b"not Avro: " + event_id.encode()
        if reason == "malformed":
            return encoded[:-3]
        return encoded + b"\x00" if reason == "trailing_bytes" else encoded

    return encode


def running_count(group: IntArray) -> IntArray:
    """For each element, how many equal ones stand before it."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    within = np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))
    counts = np.empty(len(group), np.int64)
    counts[order] = within
    return counts


def _objects(items: list[Any]) -> npt.NDArray[np.object_]:
    array = np.empty(len(items), object)
    array[:] = items
    return array
