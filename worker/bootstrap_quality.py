"""The composition root of what labels are for: the joiner, and the monitor's part that looks at realised quality."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.avro.decode import Decoder
from worker.avro.quality_sketches import AnySketchReader, QualitySketchCodec
from worker.avro.schema import RecordSchema, parse_schema
from worker.avro.sketches import SketchCodec
from worker.clock import SystemClock
from worker.drift.sketch import Sketch
from worker.errors import ConfigurationError, ModelError
from worker.joiner.loop import JoinerObserver, JoinLoop, JoinSetting
from worker.joiner.reading import LabelFields, LabelReader, PredictionReader, label_field
from worker.kafka.config import admin_config, producer_config
from worker.kafka.needed_rights import joiner_rights
from worker.kafka.pair_source import KafkaPairSource
from worker.kafka.rights import check_rights
from worker.kafka.slots import Slot
from worker.kafka.topics import check_joiner_topics, joiner_topics, partition_counts
from worker.kafka.transactional import TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.models import profile_of
from worker.models.contents import Contents, read_contents
from worker.models.quality import quality_of, scoring_of
from worker.pipeline.sketching import PARTITION as SKETCH_PARTITION
from worker.quality.join import JoinRules
from worker.quality.monitor import Known, QualityMonitor, QualityPolicy
from worker.quality.scoring import Scoring
from worker.quality.sketch import QualitySketch
from worker.records import TopicPartition
from worker.registry.files import read_schema
from worker.registry.framing import IDS_FILE, detecting
from worker.settings import Registry, Settings
from worker.shipped import output_schema, shipped

MAX_RECORD_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class PreparedJoiner:
    """All of a joiner that needs no broker, verified."""

    setting: JoinSetting
    predictions: PredictionReader
    labels: LabelReader


def quality_monitor(settings: Settings, contents: Contents) -> Callable[[Any | None], QualityMonitor] | None:
    """Makes the monitor's part for labels, afresh or of its state; None where there are no labels. Raises ModelError."""
    if not settings.labels.enabled:
        return None
    reference = quality_of(contents.files)
    manifest, drift, labels = contents.manifest, settings.drift, settings.labels
    known = Known(manifest.name, _scoring(settings, contents), {manifest.version: reference} if reference else {})
    policy = QualityPolicy(rate=drift.rate, min_records=drift.min_records, rise=labels.error_rise)

    def make(state: Any | None) -> QualityMonitor:
        return QualityMonitor(known, policy) if state is None else QualityMonitor.of_state(known, policy, state)

    return make


def sketch_reader() -> Callable[[bytes | None], Sketch | QualitySketch]:
    """Reads both kinds of sketches that the monitor takes. What it returns raises ValueError."""
    drift = SketchCodec(output_schema("drift_sketch"))
    return AnySketchReader(drift, QualitySketchCodec(output_schema("quality_sketch"))).read


def prepare_joiner(settings: Settings) -> PreparedJoiner:
    """Bundle, rules and schemas, checked against one another. Raises ConfigurationError and ModelError."""
    labels, drift = settings.labels, settings.drift
    if labels.horizon_seconds is None:
        raise ConfigurationError(
            "labels.horizon_seconds is not set", hint="say how long after its event a label may come, in seconds"
        )
    contents = read_contents(settings.model.bundle, digest=settings.model.digest)
    found = profile_of(contents.files)
    if found is None:
        raise ModelError(
            f"bundle {settings.model.bundle} has no reference profile, which says how long a window is",
            hint="pack the model again, with `model pack --profile-data`",
        )
    window = found[0].window_seconds
    lateness = window // 10 if drift.lateness_seconds is None else drift.lateness_seconds
    scoring = _scoring(settings, contents)
    path = labels.schema_file or shipped("schemas/label.avsc")
    schema = read_schema(path, "labels.schema")
    fields = LabelFields(labels.id, label_field(schema, labels.label, scoring), labels.time)
    if problems := fields.problems(schema, scoring):
        raise ConfigurationError(problems, hint=f"make {path.name} and the settings under [labels] agree")
    rules = JoinRules(
        window_ms=window * 1_000,
        lateness_ms=lateness * 1_000,
        skew_ms=round(drift.skew_seconds * 1_000),
        horizon_ms=labels.horizon_seconds * 1_000,
    )
    model = contents.manifest.name
    topics = settings.topics
    sketches = TopicPartition(topics.drift_sketches, SKETCH_PARTITION)
    return PreparedJoiner(
        setting=JoinSetting(model, rules, scoring, topics.labels, sketches),
        predictions=PredictionReader(
            _decoder(settings.registry, parse_schema(output_schema("prediction"))), model, scoring
        ),
        labels=LabelReader(_decoder(settings.registry, schema, path.with_name(IDS_FILE)), fields, scoring),
    )


def connect_joiner(settings: Settings, prepared: PreparedJoiner, observer: JoinerObserver) -> JoinLoop:
    """A joiner on the broker, subscribed and ready to run. Raises ConfigurationError and TransportError."""
    topics, delivery, clock = settings.topics, settings.delivery, SystemClock()
    admin = admin_config(settings)
    check_rights(admin, joiner_rights(settings))
    check_joiner_topics(partition_counts(admin, joiner_topics(topics).values()), topics)
    watchdog = Watchdog(delivery.watchdog_seconds, clock)
    watchdog.start()
    # Before subscribing: what a predecessor left open is ended.
    group = settings.kafka.joiner_group
    producer = {"compression.type": "lz4"} | producer_config(settings, Slot.take(group).transactional_id(group))
    sink = TransactionalSink(producer, watchdog, clock, delivery.broker_timeout_seconds)
    return JoinLoop(
        source=KafkaPairSource(settings),
        sink=sink,
        predictions=prepared.predictions,
        labels=prepared.labels,
        codec=QualitySketchCodec(output_schema("quality_sketch")),
        setting=prepared.setting,
        observer=observer,
        clock=clock,
    )


def _scoring(settings: Settings, contents: Contents) -> Scoring:
    return scoring_of(contents.manifest, quality_of(contents.files), limit=settings.labels.error_limit)


def _decoder(registry: Registry, schema: RecordSchema, ids: Path | None = None) -> Decoder:
    known = ids if ids is not None and ids.exists() else None
    return Decoder(schema, detecting(registry, schema, known, MAX_RECORD_BYTES), time.perf_counter)
