"""The compacted topic with the monitor's state, read to its end."""

from __future__ import annotations

from worker.kafka.spans import TopicReader
from worker.settings import Settings


def state_group(group: str) -> str:
    """The group that the state is read under; nobody ever joins it."""
    return f"{group}.drift-state"


class KafkaStateLog:
    """Implements ``ports.StateLog``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def latest(self, key: bytes) -> bytes | None:
        found = None
        settings = self._settings
        with TopicReader(settings, settings.topics.drift_state, state_group(settings.kafka.group)) as reader:
            for batch in reader.read(reader.spans()):
                values = zip(batch.keys.to_list(), batch.values.to_list(), strict=True)
                found = next((value for known, value in reversed(list(values)) if known == key), found)
        return found
