"""One run of a contender: which, on what, how much; and the worker's settings that all contenders share."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Self

from worker.settings import Settings

# Of contenders that flush or fill batches themselves; the worker at least once does neither, and has none.
LINGER = {"linger.ms": 5}


@dataclass(frozen=True, slots=True)
class Run:
    """Ends once ``events`` are answered, or ``seconds`` after the first batch; 0 seconds: never.

    More refused than a share of ``most_refused`` would be no measurement: the flights have some that never left.
    ``sample_seconds``: how often a sample (seconds, records, resident memory) is printed on the way; 0: never.
    """

    contender: str
    mode: str
    bootstrap: str
    topic: str
    group: str
    schema: str
    id_field: str
    time_field: str
    bundle: str
    events: int
    seconds: float = 0.0
    sample_seconds: float = 0.0
    max_batch_records: int = 10_000
    latency_target_ms: int = 50
    most_refused: float = 0.1

    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "kafka": {"bootstrap": self.bootstrap, "group": self.group},
                "topics": {"input": self.topic},
                "event": {"schema": self.schema, "id": self.id_field, "time": self.time_field},
                "model": {"bundle": self.bundle},
                "delivery": {
                    "mode": self.mode,
                    "max_batch_records": self.max_batch_records,
                    "latency_target_ms": self.latency_target_ms,
                },
                "dead_letters": {"max_ratio": 1, "max_consecutive": 0},
                "telemetry": {"port": 0},
            }
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
