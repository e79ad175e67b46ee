"""The compacted topic with the monitor's state, read to its end."""

from __future__ import annotations

from worker.kafka.spans import TopicReader
from worker.settings import Settings


class KafkaStateLog:
    """Implements ``ports.StateLog``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def latest(self, key: bytes) -> bytes | None:
        found = None
        settings = self._settings
        with TopicReader(settings, settings.topics.drift_state, f"{settings.kafka.group}.drift-state") as reader:
            for batch in reader.read(reader.spans()):
                values = zip(batch.keys.to_list(), batch.values.to_list(), strict=True)
                found = next((value for known, value in reversed(list(values)) if known == key), found)
        return found
