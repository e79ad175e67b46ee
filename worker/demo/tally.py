"""What the output topics say, read as any downstream consumer would: which flights were answered, what drifted, what came true."""

from __future__ import annotations

import collections
import io
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.demo.labels import Labels
from worker.demo.stage import ALERTS, DEAD_LETTERS, LABELS, PREDICTIONS, SKETCHES, TOPIC, Stage
from worker.shipped import output_schema

_PREFIX_BYTES = 10
Place = tuple[int, int]  # partition and offset of a flight in the input topic


@dataclass(slots=True)
class Count:
    """So far. ``answers`` holds how often each flight was answered, so that lost and doubled ones show.

    ``alerts`` are those of drift, oldest first.
    """

    predictions: int = 0
    late: int = 0
    dead_letters: collections.Counter[str] = field(default_factory=collections.Counter)
    answers: collections.Counter[Place] = field(default_factory=collections.Counter)
    alerts: list[Mapping[str, Any]] = field(default_factory=list)
    labels: Labels = field(default_factory=Labels)
    latest: collections.deque[Mapping[str, Any]] = field(default_factory=lambda: collections.deque(maxlen=6))

    @property
    def dead(self) -> int:
        return self.dead_letters.total()

    @property
    def doubled(self) -> int:
        return sum(times - 1 for times in self.answers.values())


class Tally:
    """Reads the topics in a thread of its own, committed records only."""

    def __init__(self, stage: Stage) -> None:
        self.count = Count()
        names = ("prediction", "drift_alert", "label", "quality_sketch")
        schemas = [json.loads(output_schema(name)) for name in names]
        self._schemas = {_prefix(schema): fastavro.parse_schema(schema) for schema in schemas}
        config: dict[str, Any] = {
            "bootstrap.servers": stage.bootstrap,
            "group.id": "flights-demo",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
            "log_level": 0,
        }
        self._consumer = Consumer(config)
        # Apart: a question about offsets would wait behind a fetch on the same connection.
        self._watermarks = Consumer(config)
        known = self._consumer.list_topics(timeout=10).topics
        self._inputs, self._labels = (
            [TopicPartition(topic, p) for p in known[topic].partitions] if topic in known else []
            for topic in (TOPIC, LABELS)
        )
        outputs = [topic for topic in (PREDICTIONS, DEAD_LETTERS, ALERTS, LABELS, SKETCHES) if topic in known]
        self._consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t in outputs for p in known[t].partitions])
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="tally", daemon=True)
        self._thread.start()

    def flights_in(self) -> int:
        """Records in the input topic, as the broker counts them."""
        return self._records_of(self._inputs)

    def labels_in(self) -> int:
        return self._records_of(self._labels)

    def _records_of(self, partitions: Sequence[TopicPartition]) -> int:
        return sum(self._watermarks.get_watermark_offsets(p, timeout=10)[1] for p in partitions)

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._consumer.close()
        self._watermarks.close()

    def _read(self) -> None:
        while not self._stopped.is_set():
            for message in self._consumer.consume(2_000, 0.1):
                if message.error() is None:
                    self._take(message)

    def _take(self, message: Message) -> None:
        count = self.count
        if message.topic() == ALERTS:
            count.alerts.append(self._read_value(message))
            return
        if message.topic() == LABELS:
            label = self._read_value(message)
            count.labels.known(label["event_id"], label["label"])
            return
        if message.topic() == SKETCHES:
            if (sketch := self._read_value(message)) is not None:
                count.labels.counted(sketch["windows"])
            return
        if message.topic() == PREDICTIONS:
            prediction = self._read_value(message)
            count.predictions += 1
            count.labels.predicted(prediction["event_id"], prediction["label"])
            count.late += prediction["label"] == "1"
            count.latest.append(prediction)
            place = (prediction["source_partition"], prediction["source_offset"])
        else:
            headers = {name: bytes(value or b"").decode() for name, value in _pairs(message)}
            count.dead_letters[f"{headers['reason']}: {headers.get('field', headers['stage'])}"] += 1
            place = (int(headers["__dlq.errors.partition"]), int(headers["__dlq.errors.offset"]))
        count.answers[place] += 1

    def _read_value(self, message: Message) -> Any:
        """None for what nobody here looks at: the sketches of drift."""
        value = bytes(message.value() or b"")
        schema = self._schemas.get(value[:_PREFIX_BYTES])
        return None if schema is None else fastavro.schemaless_reader(io.BytesIO(value[_PREFIX_BYTES:]), schema, None)


def _prefix(schema: Any) -> bytes:
    """Of Avro's single-object encoding."""
    return b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def _pairs(message: Message) -> list[tuple[str, Any]]:
    headers: Any = message.headers() or []
    return list(headers)
