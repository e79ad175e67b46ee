"""A Kafka source by itself, for tests below the whole worker: settings that name no model, and polls until a batch comes."""

from __future__ import annotations

from tests.support.waiting import wait_until
from worker.kafka.source import KafkaSource
from worker.ports import Fetch, FetchLimit
from worker.records import RecordBatch
from worker.settings import Settings


def settings_of(bootstrap: str, group: str) -> Settings:
    """Of a group; nothing but its clients can be built by them."""
    return Settings.model_validate(
        {
            "kafka": {"bootstrap": bootstrap, "group": group, "options": {"log_level": 0}},
            "topics": {"input": "unused"},
            "event": {"schema": "unused"},
            "model": {"bundle": "unused"},
        }
    )


def poll_batch(source: KafkaSource, most: int = 1) -> tuple[RecordBatch, list[Fetch]]:
    """The next batch, and every fetch up to it, its own the last."""
    fetches: list[Fetch] = []

    def is_there() -> bool:
        fetches.append(source.poll(FetchLimit(most, 1_000_000, 0.5)))
        return fetches[-1].batch is not None

    wait_until(is_there, 30)
    batch = fetches[-1].batch
    assert batch is not None
    return batch, fetches
