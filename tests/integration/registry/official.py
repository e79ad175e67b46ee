"""The official Confluent client, in an environment and a process of its own: ``make registry-test`` makes it.

Events are written by its serializer, which registers their schema; predictions are read by its deserializer.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SILENCE_SECONDS = 20.0


def produce(registry: Any, bootstrap: str, topic: str, schema: Path) -> None:
    """Each line of the standard input is an event."""
    serialize = AvroSerializer(registry, schema.read_text("utf-8"))
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    context = SerializationContext(topic, MessageField.VALUE)
    for line in sys.stdin:
        producer.produce(topic, serialize(json.loads(line), context))
    if producer.flush(SILENCE_SECONDS):
        raise SystemExit("not everything was written")


def consume(registry: Any, bootstrap: str, topic: str, count: int) -> None:
    """So many predictions, a line of JSON each."""
    deserialize = AvroDeserializer(registry)
    settings = {"bootstrap.servers": bootstrap, "group.id": "official", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    context = SerializationContext(topic, MessageField.VALUE)
    for _ in range(count):
        message = consumer.poll(SILENCE_SECONDS)
        if message is None or message.error():
            raise SystemExit(f"no more predictions: {message and message.error()}")
        sys.stdout.write(json.dumps(deserialize(message.value(), context), default=str) + "\n")
    consumer.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["produce", "consume"])
    parser.add_argument("--registry", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--schema", type=Path)
    parser.add_argument("--count", type=int)
    given = parser.parse_args()
    registry = SchemaRegistryClient({"url": given.registry})
    if given.what == "produce":
        produce(registry, given.bootstrap, given.topic, given.schema)
    else:
        consume(registry, given.bootstrap, given.topic, given.count)


if __name__ == "__main__":
    main()
