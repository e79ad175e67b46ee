"""What is measured: each reads ``EVENTS`` flights from the input topic and answers every one of them.

``python -m bench.contenders NAME MODE BOOTSTRAP TOPIC EVENTS GROUP BUNDLE`` runs one, and prints its figures as JSON.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from worker import bootstrap
from worker.clock import SystemClock
from worker.kafka.at_least_once import AtLeastOnceSink
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.source import KafkaSource
from worker.kafka.transactional import TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.models import open_bundle
from worker.ports import FetchLimit, RecordSink
from worker.records import Committable, OutgoingBatch
from worker.settings import Settings
from worker.telemetry.observers import Observers

SCHEMA = Path("schemas/flight.avsc")
PREFIX_BYTES = 10


@dataclass(frozen=True, slots=True)
class Run:
    mode: str
    bootstrap: str
    topic: str
    events: int
    group: str
    bundle: Path

    def arguments(self) -> list[str]:
        return [self.mode, self.bootstrap, self.topic, str(self.events), self.group, str(self.bundle)]

    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "kafka": {"bootstrap": self.bootstrap, "group": self.group},
                "topics": {"input": self.topic},
                "event": {"schema": str(SCHEMA), "id": "id", "time": "scheduled_at"},
                "model": {"bundle": str(self.bundle)},
                "delivery": {"mode": self.mode},
            }
        )


def worker(run: Run) -> None:
    """This project's worker, as ``prediction-worker run`` builds it."""
    settings = run.settings()
    loop = bootstrap.connect(settings, bootstrap.prepare(settings), Observers([]))
    answered = 0
    while answered < run.events:
        answered += loop.run_once()
    loop.source.close()


def pass_through(run: Run) -> None:
    """The same edges and client settings, the value's bytes copied: what no worker on these edges can beat."""
    settings, clock = run.settings(), SystemClock()
    watchdog = Watchdog(60, clock)
    source = KafkaSource(consumer_config(settings), run.topic, "earliest")
    sink: RecordSink
    if run.mode == "exactly-once":
        sink = TransactionalSink(producer_config(settings, f"{run.group}-0"), watchdog, clock, 60)
    else:
        sink = AtLeastOnceSink(producer_config(settings, None), source.consumer, watchdog, 60)
    answered = 0
    while answered < run.events:
        fetch = source.poll(FetchLimit(5_000, 16_000_000, 0.5))
        if fetch.batch is None:
            continue
        batch = fetch.batch
        copied = OutgoingBatch(settings.topics.predictions, batch.partition, batch.keys, batch.values)
        sink.deliver([copied], Committable(batch.next_offsets(), {}, fetch.generation))
        answered += len(batch)
    source.close()


def naive_loop(run: Run) -> None:
    """What one writes in an hour: poll one, decode, predict one row, produce, commit now and then; at least once."""
    _by_hand(run, batch=1)


def batch_loop(run: Run) -> None:
    """What a good engineer writes in an afternoon: batches of 500, one ``predict_proba`` each; at least once."""
    _by_hand(run, batch=500)


def _by_hand(run: Run, batch: int) -> None:
    schema = fastavro.parse_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))
    bundle = open_bundle(run.bundle)
    names = [feature.name for feature in bundle.manifest.features]
    out_schema = fastavro.parse_schema(
        {
            "type": "record",
            "name": "P",
            "fields": [{"name": "id", "type": "string"}, {"name": "score", "type": "double"}],
        }
    )
    consumer = Consumer(
        {
            "bootstrap.servers": run.bootstrap,
            "group.id": run.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([run.topic])
    producer = Producer({"bootstrap.servers": run.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    answered = since_commit = 0
    while answered < run.events:
        messages = [m for m in consumer.consume(batch, 0.5) if m.error() is None]
        if not messages:
            continue
        events: list[Any] = [
            fastavro.schemaless_reader(io.BytesIO(bytes(m.value() or b"")[PREFIX_BYTES:]), schema, None)
            for m in messages
        ]
        rows = np.array([[np.nan if e[n] is None else e[n] for n in names] for e in events], float)
        scores = bundle.model.predict_proba(np.nan_to_num(rows))[:, 1]
        for message, event, score in zip(messages, events, scores.tolist(), strict=True):
            body = io.BytesIO()
            fastavro.schemaless_writer(body, out_schema, {"id": event["id"], "score": score})
            producer.produce(f"{run.topic}.predictions", body.getvalue(), message.key(), message.partition() or 0)
        producer.poll(0)
        answered += len(messages)
        since_commit += len(messages)
        if since_commit >= 500 or answered >= run.events:
            producer.flush()
            consumer.commit(asynchronous=False)
            since_commit = 0
    consumer.close()


CONTENDERS: dict[str, Callable[[Run], None]] = {
    "pass-through": pass_through,
    "worker": worker,
    "batch loop": batch_loop,
    "naive loop": naive_loop,
}


def _commit_beginning(run: Run) -> None:
    """Commit the beginning for the group, so that every contender starts where the records are."""
    consumer = Consumer({"bootstrap.servers": run.bootstrap, "group.id": run.group, "enable.auto.commit": False})
    partitions = consumer.list_topics(run.topic, timeout=10).topics[run.topic].partitions
    consumer.commit(offsets=[TopicPartition(run.topic, p, 0) for p in partitions], asynchronous=False)
    consumer.close()


def _peak_mb() -> float:
    """Of this program alone: ``ru_maxrss`` would count what the process was before exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def main() -> None:
    name, mode, address, topic, events, group, bundle = sys.argv[1:]
    run = Run(mode, address, topic, int(events), group, Path(bundle))
    _commit_beginning(run)
    begun, cpu = time.perf_counter(), time.process_time()
    CONTENDERS[name](run)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "cpu_seconds": time.process_time() - cpu,
                "peak_mb": _peak_mb(),
            }
        )
    )


if __name__ == "__main__":
    main()
