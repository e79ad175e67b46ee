"""For tests of your own: the whole worker in memory, with no broker, no mocks and no sleeps.

``harness`` runs records through your model and schema. Beneath it are the edges that implement ``worker.ports``
(``InMemoryKafka`` with its source and sinks) and stand-ins for clock, model and observer. The project's own contract
suite runs on these and on a real broker.
"""

from worker.testing.doubles import ManualClock, RecordingObserver, StubPredictor
from worker.testing.group import CommittedOffset
from worker.testing.harness import WorkerHarness, harness
from worker.testing.kafka import InMemoryKafka, InMemoryProducer
from worker.testing.results import DeadLetterOf, PredictionOf, Result, decode_prediction
from worker.testing.sinks import InMemoryAtLeastOnceSink, InMemorySink
from worker.testing.source import InMemorySource

__all__ = [
    "CommittedOffset",
    "DeadLetterOf",
    "InMemoryAtLeastOnceSink",
    "InMemoryKafka",
    "InMemoryProducer",
    "InMemorySink",
    "InMemorySource",
    "ManualClock",
    "PredictionOf",
    "RecordingObserver",
    "Result",
    "StubPredictor",
    "WorkerHarness",
    "decode_prediction",
    "harness",
]
