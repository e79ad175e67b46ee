"""The joiner's loop with its edges in memory."""

from __future__ import annotations

import functools
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.quality import Said, True_
from worker.avro.any_record import AnySchema
from worker.avro.decode import Decoder
from worker.avro.framing import frame_detected
from worker.avro.quality_sketches import QualitySketchCodec
from worker.avro.schema import RecordSchema, parse_schema
from worker.joiner.loop import JoinLoop, JoinSetting
from worker.joiner.reading import LabelFields, LabelReader, PredictionReader
from worker.ports import Offsets, Pairs
from worker.quality.join import JoinRules
from worker.quality.scoring import Scoring
from worker.quality.sketch import QualitySketch
from worker.records import Record, RecordBatch, TopicPartition
from worker.registry.files import SchemaFiles
from worker.shipped import output_schema
from worker.testing import CommittedOffset, InMemoryKafka, InMemorySink
from worker.testing.group import Generation

PREDICTIONS, LABELS, SKETCHES, JOINERS, MODEL = "predictions", "labels", "sketches", "joiners", "m"
PARTITIONS = 3
RULES = JoinRules(window_ms=10_000, lateness_ms=3_000, skew_ms=2_000, horizon_ms=15_000)
SCORING = Scoring("binary", ("0", "1"), "1")
CODEC = QualitySketchCodec(output_schema("quality_sketch"))


class PairsInMemory:
    """Implements ``ports.PairSource``; takes a few records at a time, of whichever topic."""

    def __init__(self, kafka: InMemoryKafka, rng: random.Random) -> None:
        self._kafka, self._random = kafka, rng
        self._group = kafka.group(JOINERS)
        self._member = ""
        self._waiting: set[int] = set()  # ours, not told of yet
        self._at: dict[int, list[int]] = {}
        self.held: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())

    def poll(self, seconds: float) -> Pairs:
        with self._kafka.faults.around("poll"):
            self._kafka.clock.advance(seconds)
            gone = self._take_part()
            stable = {p for p in self._waiting if self._group.is_stable(TopicPartition(LABELS, p))}
            self._waiting -= stable
            found = {p: self._group.committed.get(TopicPartition(LABELS, p), CommittedOffset(-1)) for p in stable}
            batches = [self._taken(which) for which in (0, 1)]
            return Pairs(
                assigned={p: (one.offset, one.metadata) for p, one in found.items()},
                unassigned=frozenset(gone),
                predictions=batches[0],
                labels=batches[1],
                reached={p: (at[0], at[1]) for p, at in self._at.items()},
                ended=self._ended(),
                generation=Generation(self._member, self._group.generation),
                lag=self._lag(),
            )

    def beginning(self, partition: int) -> tuple[int, int]:
        assert partition < PARTITIONS
        return 0, 0

    def again(self, predictions: Mapping[int, Offsets], labels: Mapping[int, Offsets]) -> Iterator[RecordBatch]:
        with self._kafka.faults.around("poll"):
            for topic, spans in ((PREDICTIONS, predictions), (LABELS, labels)):
                for partition, (first, end) in spans.items():
                    if records := self._records(topic, partition, first, end):
                        yield RecordBatch.of(records)

    def start(self, starts: Mapping[int, Offsets]) -> None:
        self._at |= {partition: list(offsets) for partition, offsets in starts.items()}

    def labels_ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        return {p: self._kafka.log(TopicPartition(LABELS, p)).end for p in partitions}

    def hold(self, predictions: frozenset[int], labels: frozenset[int]) -> None:
        self.held = predictions, labels

    def rewind(self) -> None:
        self._waiting |= self._at.keys()
        self._at.clear()

    def close(self) -> None:
        self.expire()

    def expire(self) -> None:
        """The session times out: the group goes on without us, and we learn it in our next poll."""
        self._group.leave(self._member)

    def _take_part(self) -> set[int]:
        gone: set[int] = set()
        if not self._group.has(self._member):
            gone = self._at.keys() | self._waiting
            self._member = self._group.join(self._kafka.partitions(LABELS))
        revoked, assigned = self._group.sync(self._member)
        gone |= {tp.partition for tp in revoked}
        for partition in gone:
            self._at.pop(partition, None)
        self._waiting = (self._waiting - gone) | {tp.partition for tp in assigned}
        return gone

    def _taken(self, which: int) -> RecordBatch | None:
        topic, records = (PREDICTIONS, LABELS)[which], list[Record]()
        for partition, at in self._at.items():
            if partition in self.held[which]:
                continue
            log = self._kafka.log(TopicPartition(topic, partition))
            end = min(log.stable_end, at[which] + self._random.choice((0, 3, 60)))
            records += self._records(topic, partition, at[which], end)
            at[which] = max(at[which], end)
        return RecordBatch.of(records) if records else None

    def _ended(self) -> frozenset[int]:
        logs = {p: self._kafka.log(TopicPartition(PREDICTIONS, p)) for p in self._at}
        return frozenset(p for p, log in logs.items() if self._at[p][0] >= log.stable_end)

    def _lag(self) -> dict[TopicPartition, int]:
        places = {
            TopicPartition(t, p): at[i] for p, at in self._at.items() for i, t in enumerate((PREDICTIONS, LABELS))
        }
        return {place: self._kafka.log(place).end - offset for place, offset in places.items()}

    def _records(self, topic: str, partition: int, first: int, end: int) -> list[Record]:
        entries = self._kafka.log(TopicPartition(topic, partition)).entries(first, end)
        return [entry.record for entry in entries if entry.record is not None and entry.visible]


@dataclass(slots=True)
class Told:
    """Implements ``JoinerObserver``: keeps what it was told."""

    refusals: list[tuple[int, int]] = field(default_factory=list)
    lag: dict[TopicPartition, int] = field(default_factory=dict)
    records: int = 0

    def started(self) -> None: ...

    def progressed(self) -> None: ...

    def assignment(self, partitions: int) -> None: ...

    def refused(self, predictions: int, labels: int) -> None:
        self.refusals.append((predictions, labels))

    def lagging(self, lag: Mapping[TopicPartition, int]) -> None:
        self.lag = dict(lag)

    def joined(self, sketch: QualitySketch, held: int, records: int) -> None:
        self.records += records

    def aborted(self, error: Exception) -> None: ...

    def stopped(self) -> None: ...


def broker(said: Mapping[int, Sequence[Said]], true: Mapping[int, Sequence[True_]]) -> InMemoryKafka:
    """With predictions and labels, by partition, whose offsets count from zero."""
    kafka = InMemoryKafka()
    for topic in (PREDICTIONS, LABELS):
        kafka.create_topic(topic, PARTITIONS)
    kafka.create_topic(SKETCHES)
    schemas = [AnySchema.of(output_schema(name)) for name in ("prediction", "label")]
    for partition, ours in said.items():
        values = [(one.stamp_ms, schemas[0].write(_prediction(one, partition))) for one in ours]
        kafka.append(PREDICTIONS, [Record("", partition, 0, stamp, None, value) for stamp, value in values])
    for partition, labels in true.items():
        values = [(one.stamp_ms, schemas[1].write(_label(one))) for one in labels]
        kafka.append(LABELS, [Record("", partition, 0, stamp, None, value) for stamp, value in values])
    return kafka


def loop_on(kafka: InMemoryKafka, number: int, rng: random.Random, observer: Told | None = None) -> JoinLoop:
    label = parse_schema(output_schema("label"))
    return JoinLoop(
        source=PairsInMemory(kafka, rng),
        sink=InMemorySink(kafka, JOINERS, f"joiner-{number}"),
        predictions=PredictionReader(_decoder(parse_schema(output_schema("prediction"))), MODEL, SCORING),
        labels=LabelReader(_decoder(label), LabelFields("event_id", "label", "time"), SCORING),
        codec=CODEC,
        setting=JoinSetting(MODEL, RULES, SCORING, LABELS, TopicPartition(SKETCHES, 0)),
        observer=observer or Told(),
        clock=kafka.clock,
    )


def _decoder(schema: RecordSchema) -> Decoder:
    return Decoder(schema, functools.partial(frame_detected, lookup=SchemaFiles(schema, {}), max_bytes=1_000_000))


def _prediction(one: Said, partition: int) -> dict[str, object]:
    return {
        "event_id": one.id,
        "event_time": one.time_ms,
        "model_name": MODEL,
        "model_version": one.variant[0],
        "model_digest": "",
        "variant": one.variant[1],
        "served_by": "primary",
        "label": str(one.said.label),
        "score": one.said.score,
        "probabilities": [1 - one.said.score, one.said.score],
        "source_partition": partition,
        "source_offset": one.offset,
    }


def _label(one: True_) -> dict[str, object]:
    return {"event_id": one.id, "label": str(one.actual), "value": None, "time": one.time_ms}
