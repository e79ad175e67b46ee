"""Sends the readings of some days to the input topic, as a producer of yours would: ``python send.py --day 8``."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import KafkaError, Message, Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form
from readings import readings

from worker.settings import load_settings

HERE = Path(__file__).parent


class Encoder:
    """Avro's single-object encoding: ``C3 01``, the schema's fingerprint, the body."""

    def __init__(self, schema_file: Path) -> None:
        schema = json.loads(schema_file.read_text(encoding="utf-8"))
        self._schema = fastavro.parse_schema(schema)
        self._prefix = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))

    def __call__(self, event: dict[str, Any]) -> bytes:
        body = io.BytesIO()
        body.write(self._prefix)
        fastavro.schemaless_writer(body, self._schema, event)
        return body.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--day", type=int, default=8, help="number of the first day; training took 1 to 7")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--warmer", type=float, default=0.0, help="degrees by which every bearing is hotter")
    parser.add_argument("--broken", type=int, default=0, help="so many readings have a load of 999 %%")
    arguments = parser.parse_args()
    settings = load_settings(HERE / "worker.toml")
    encode = Encoder(HERE / "schemas" / "reading.avsc")
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    count = 0
    for event in readings(arguments.day, arguments.days, warmer=arguments.warmer).events():
        if count < arguments.broken:
            event["load_percent"] = 999.0
        producer.produce(settings.topics.input, encode(event), event["machine"], on_delivery=delivered)
        producer.poll(0)
        count += 1
    left = producer.flush(60)
    if failures or left:
        sys.exit(f"error: {len(failures) + left} readings were not delivered")
    print(f"{count:,} readings were sent to {settings.topics.input}")


if __name__ == "__main__":
    main()
