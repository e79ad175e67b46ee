"""Bytes copied through Kafka with the client as it is: what a pipeline in Python is measured against.

One ``Message`` object a record, ``produce_batch`` for what has no headers; the worker's client settings and guarantees,
and its way of filling a batch: wait for a first record, then take what is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.contenders.meter import Meter
from bench.contenders.run import LINGER, Run
from worker.kafka.config import consumer_config, producer_config


def copying(run: Run, meter: Meter) -> None:
    """Exactly once or at least once, by the run's mode."""
    settings = run.settings()
    transactional = run.mode == "exactly-once"
    consumer = Consumer({**consumer_config(settings), "auto.offset.reset": "earliest"})
    consumer.subscribe([run.topic])
    producer = Producer(producer_config(settings, f"{run.group}-copying" if transactional else None) | LINGER)
    if transactional:
        producer.init_transactions(30)
    while not meter.done:
        messages = _batch(consumer, settings.delivery.max_batch_records)
        if not messages:
            continue
        meter.polled()
        offsets = _next_offsets(messages)
        if transactional:
            producer.begin_transaction()
            _produce(producer, settings.topics.predictions, messages)
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
        else:
            _produce(producer, settings.topics.predictions, messages)
            assert producer.flush(30) == 0
            consumer.commit(offsets=offsets, asynchronous=False)
        meter.answered(len(messages))
    consumer.close()


def _batch(consumer: Consumer, most: int) -> list[Message]:
    first = consumer.poll(0.5)
    if first is None:
        return []
    return [m for m in (first, *consumer.consume(most - 1, 0)) if m.error() is None]


def _next_offsets(messages: Sequence[Message]) -> list[TopicPartition]:
    last = {message.partition(): message for message in messages}
    return [TopicPartition(m.topic() or "", m.partition() or 0, (m.offset() or 0) + 1) for m in last.values()]


def _produce(producer: Producer, topic: str, messages: Sequence[Message]) -> None:
    plain: dict[int, list[dict[str, object]]] = {}
    for message in messages:
        partition = message.partition() or 0
        if headers := message.headers():
            producer.produce(topic, message.value(), message.key(), partition, headers=headers)
        else:
            plain.setdefault(partition, []).append({"value": message.value(), "key": message.key()})
    for partition, values in plain.items():
        assert producer.produce_batch(topic, values, partition) == len(values)
