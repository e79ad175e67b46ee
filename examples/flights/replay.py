"""Replay the flights to Kafka in event-time order, keyed by tail number.

``python -m examples.flights.replay --bootstrap 127.0.0.1:9092 --topic flights --rate 1000``
"""

from __future__ import annotations

import argparse
import io
import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import fastavro
import numpy as np
from confluent_kafka import KafkaError, Message, Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from .events import Value, encoded, with_labels
from .flights import Flights, load

STREAM_MONTHS = range(3, 13)
BURST_SECONDS = 0.02


class AvroEncoder:
    """Values to Avro's single-object encoding: ``C3 01``, the schema's fingerprint, the body."""

    def __init__(self, schema_file: Path) -> None:
        schema = json.loads(schema_file.read_text(encoding="utf-8"))
        self._schema = fastavro.parse_schema(schema)
        self._prefix = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))

    def __call__(self, value: Value) -> bytes:
        body = io.BytesIO()
        body.write(self._prefix)
        fastavro.schemaless_writer(body, self._schema, value)
        return body.getvalue()


Sent = tuple[str, bytes, bytes]
"""Topic, key and value."""


def flights_and_labels(
    flights: Flights, topic: str, labels: str, encode: AvroEncoder, encode_label: AvroEncoder
) -> Iterator[Sent]:
    """The flights to one topic as they leave, and to the other the labels of those that have landed by then."""
    for event, landed in with_labels(flights):
        yield (labels, event.key, encode_label(event.label)) if landed else (topic, event.key, encode(event.value))


def paced(records: Iterable[Sent], topic: str, rate: float) -> Iterator[Sent]:
    """The records with so many a second of the topic, in short bursts; what goes elsewhere comes along. 0: as fast as can be."""
    begun, count = time.monotonic(), 0
    for record in records:
        if rate and record[0] == topic:
            early = begun + count / rate - time.monotonic()
            if early > BURST_SECONDS:
                time.sleep(early)
            count += 1
        yield record


def replay(bootstrap: str, topic: str, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Produce keys and values to one topic; how many. Raises SystemExit when one is not acknowledged."""
    return send(bootstrap, ((topic, key, value) for key, value in records))


def send(bootstrap: str, records: Iterable[Sent]) -> int:
    """Produce them all; how many. Raises SystemExit when one is not acknowledged."""
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    count = 0
    for topic, key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        count += 1
    left = producer.flush(60)
    if failures or left:
        why = failures[0].str() if failures else "no acknowledgement within a minute"
        sys.exit(f"error: {len(failures) + left} records were not delivered: {why}")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="broker, host:port")
    parser.add_argument("--topic", default="flights")
    parser.add_argument("--rate", type=float, default=1000, help="flights a second; 0: as fast as possible")
    parser.add_argument("--limit", type=int, default=None, help="so many flights; default: March to December, 284,821")
    parser.add_argument("--schema", type=Path, default=Path("schemas/flight.avsc"))
    parser.add_argument("--labels-topic", default=None, help="publish each flight's label there when it has landed")
    parser.add_argument("--label-schema", type=Path, default=Path("schemas/label.avsc"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    flights, encode = load(STREAM_MONTHS), AvroEncoder(arguments.schema)
    if arguments.limit is not None:
        flights = flights.take(np.arange(len(flights)) < arguments.limit)
    topic = topics = arguments.topic
    records: Iterator[Sent] = ((topic, key, value) for key, value in encoded(flights, encode))
    if arguments.labels_topic is not None:
        labels, encode_label = arguments.labels_topic, AvroEncoder(arguments.label_schema)
        records = flights_and_labels(flights, topic, labels, encode, encode_label)
        topics += f", and their labels to {labels}"
    try:
        send(arguments.bootstrap, paced(records, topic, arguments.rate))
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"{len(flights):,} flights were replayed to {topics}")


if __name__ == "__main__":
    main()
