"""A whole worker on either edge, and what became of every record of its input."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import fastavro

from tests.component import counted_loans
from tests.contract.edges import DEADLINE_SECONDS, Edges
from worker.avro.decode import Decoder
from worker.avro.encode import PredictionEncoder, ServedBy
from worker.avro.framing import SINGLE_OBJECT_MARKER, frame_detected
from worker.avro.schema import parse_schema
from worker.pipeline.batching import BatchingPolicy, BatchSize
from worker.pipeline.dead_letters import DeadLetterPolicy
from worker.pipeline.identity import Identity
from worker.pipeline.limits import DeadLetterLimits, LimitPolicy
from worker.pipeline.process import Pipeline
from worker.pipeline.sketching import Sketching
from worker.pipeline.validate import Validator
from worker.ports import Observer, Predictor, RecordSink, RecordSource
from worker.records import Record
from worker.registry.files import SchemaFiles
from worker.service import PredictionWorker
from worker.settings import Mode
from worker.shipped import output_schema
from worker.testing import InMemoryKafka, ManualClock, RecordingObserver, StubPredictor, decode_prediction

LOAN = parse_schema((Path(__file__).parent.parent / "fixtures" / "loan.avsc").read_text())
_WRITER = fastavro.parse_schema(json.loads(LOAN.text))
NO_LIMITS = LimitPolicy("digest", max_ratio=1, max_consecutive=0)
BATCHING = BatchingPolicy(
    latency_target_seconds=1, max_batch_records=10_000, max_batch_bytes=16_000_000, poll_seconds=0.2
)
Place = tuple[int, int]


def loan(number: int = 0, *, age: int = 30, credit_score: int = 700, income: float | None = 50.0) -> bytes:
    """An event's value, in single-object encoding; valid unless told otherwise."""
    body = io.BytesIO()
    body.write(SINGLE_OBJECT_MARKER + LOAN.fingerprint)
    event = {
        "application_id": f"loan-{number}",
        "age": age,
        "credit_score": credit_score,
        "income": income,
        "purpose": "car",
    }
    fastavro.schemaless_writer(body, _WRITER, event)
    return body.getvalue()


def event(value: bytes | None, *, partition: int = 0, key: bytes | None = None, timestamp_ms: int = 0) -> Record:
    return Record("", partition, 0, timestamp_ms, key, value)


def pipeline(predictor: Predictor, predictions: str, letters: str, sketching: Sketching | None = None) -> Pipeline:
    lookup = SchemaFiles(LOAN, {})
    return Pipeline(
        decoder=Decoder(LOAN, lambda batch: frame_detected(batch, lookup, 10_000)),
        validator=Validator(LOAN),
        identity=Identity.of(LOAN, "application_id", None),
        predictor=predictor,
        encoder=PredictionEncoder(output_schema("prediction"), ServedBy("stub", "1.0.0", "d" * 64)),
        dead_letters=DeadLetterPolicy(letters, "group", "0.0.0", "stub 1.0.0"),
        predictions_topic=predictions,
        timer=lambda: 0.0,
        sketching=sketching,
    )


def worker_of(
    source: RecordSource,
    sink: RecordSink,
    pipeline: Pipeline,
    *,
    limits: LimitPolicy = NO_LIMITS,
    batching: BatchingPolicy = BATCHING,
    observer: Observer | None = None,
    clock: ManualClock | None = None,
) -> PredictionWorker:
    return PredictionWorker(
        source=source,
        pipeline=pipeline,
        sink=sink,
        limits=DeadLetterLimits(limits),
        batch_size=BatchSize(batching),
        observer=observer or RecordingObserver(),
        clock=clock or ManualClock(),
    )


@dataclass(slots=True)
class Rig:
    """Topics, a group, and workers on them, which count for drift where ``sketches`` names a topic."""

    edges: Edges
    group: str
    partitions: int = 1
    sketches: str = ""
    input: str = field(init=False)
    predictions: str = field(init=False)
    letters: str = field(init=False)

    def __post_init__(self) -> None:
        self.input, self.predictions, self.letters = (self.edges.topic(self.partitions) for _ in range(3))

    @property
    def kafka(self) -> InMemoryKafka:
        """Of the in-memory edges, to order faults from."""
        found = getattr(self.edges, "kafka", None)
        assert isinstance(found, InMemoryKafka)
        return found

    def worker(
        self,
        predictor: Predictor | None = None,
        *,
        mode: Mode = "exactly-once",
        limits: LimitPolicy = NO_LIMITS,
        batching: BatchingPolicy = BATCHING,
        observer: Observer | None = None,
        name: str = "a",
    ) -> PredictionWorker:
        source = self.edges.source(self.input, self.group)
        sink = self.edges.sink(source, self.group, mode, name)
        sketching = counted_loans.sketching(self.sketches) if self.sketches else None
        flow = pipeline(predictor or StubPredictor(), self.predictions, self.letters, sketching)
        return worker_of(source, sink, flow, limits=limits, batching=batching, observer=observer)

    def write(self, records: Sequence[Record]) -> None:
        self.edges.write(self.input, records)

    def committed(self) -> dict[int, int]:
        """Next offset by partition."""
        return {tp.partition: at.offset for tp, at in self.edges.committed(self.group, self.input).items()}

    def predicted(self) -> list[Place]:
        """Where the predictions' events stood, in the order of each output partition."""
        return [self._place(record) for record in self.edges.read(self.predictions)]

    def refused(self) -> list[Place]:
        return [self._place(record) for record in self.edges.read(self.letters)]

    def _place(self, record: Record) -> Place:
        return place_of(record)


def place_of(record: Record) -> Place:
    """Partition and offset of the event that an output came of; its partition is the output's own, too."""
    headers = dict(record.headers)
    if "__dlq.errors.offset" in headers:
        partition, offset = headers["__dlq.errors.partition"], headers["__dlq.errors.offset"]
        assert partition is not None
        assert offset is not None
        place = int(partition), int(offset)
    else:
        fields = decode_prediction(record.value)
        source_partition, source_offset = fields["source_partition"], fields["source_offset"]
        assert isinstance(source_partition, int)
        assert isinstance(source_offset, int)
        place = source_partition, source_offset
    assert place[0] == record.partition, "an output goes to its input's partition"
    return place


def work(worker: PredictionWorker, records: int) -> None:
    """Run until so many records were delivered, and end the sink; fails when that takes too long."""
    done = 0
    deadline = time.monotonic() + DEADLINE_SECONDS
    while done < records:
        assert time.monotonic() < deadline, f"{done} of {records} records after {DEADLINE_SECONDS:g} s"
        done += worker.run_once()
    assert done == records
    worker.sink.close()
