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
from itertools import islice
from pathlib import Path

import fastavro
from confluent_kafka import KafkaError, Message, Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from .events import Value, encoded
from .flights import load

STREAM_MONTHS = range(3, 13)
BURST_SECONDS = 0.02


class FlightEncoder:
    """Flights to Avro's single-object encoding: ``C3 01``, the schema's fingerprint, the body."""

    def __init__(self, schema_file: Path) -> None:
        schema = json.loads(schema_file.read_text(encoding="utf-8"))
        self._schema = fastavro.parse_schema(schema)
        self._prefix = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))

    def __call__(self, value: Value) -> bytes:
        body = io.BytesIO()
        body.write(self._prefix)
        fastavro.schemaless_writer(body, self._schema, value)
        return body.getvalue()


def paced(records: Iterable[tuple[bytes, bytes]], rate: float) -> Iterator[tuple[bytes, bytes]]:
    """The records at so many a second, in short bursts; 0: as fast as they can be taken."""
    begun = time.monotonic()
    for count, record in enumerate(records):
        if rate:
            early = begun + count / rate - time.monotonic()
            if early > BURST_SECONDS:
                time.sleep(early)
        yield record


def replay(bootstrap: str, topic: str, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Produce them all; how many. Raises SystemExit when one is not acknowledged."""
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    count = 0
    for key, value in records:
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
        sys.exit(f"error: {len(failures) + left} flights were not delivered: {why}")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="broker, host:port")
    parser.add_argument("--topic", default="flights")
    parser.add_argument("--rate", type=float, default=1000, help="flights a second; 0: as fast as possible")
    parser.add_argument("--limit", type=int, default=None, help="so many flights; default: March to December, 284,821")
    parser.add_argument("--schema", type=Path, default=Path("schemas/flight.avsc"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    records = islice(encoded(load(STREAM_MONTHS), FlightEncoder(arguments.schema)), arguments.limit)
    try:
        count = replay(arguments.bootstrap, arguments.topic, paced(records, arguments.rate))
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"{count:,} flights were replayed to {arguments.topic}")


if __name__ == "__main__":
    main()
