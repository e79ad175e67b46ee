"""The composition root: the only module that knows every concrete class.

What can be checked without a broker is checked first (``prepare``: schema, bundle, binding), so that nothing is polled
by a worker that can't predict.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence

from worker import __version__
from worker.avro.decode import Decoder
from worker.avro.encode import PredictionEncoder, ServedBy
from worker.avro.schema import RecordSchema
from worker.avro.sketches import SketchCodec
from worker.bootstrap_outputs import monitor_encoder, prediction_encoder
from worker.bootstrap_quality import quality_monitor, sketch_reader
from worker.clock import SystemClock
from worker.drift.counting import Counting
from worker.drift.monitor import DriftMonitor
from worker.drift.profile import ReferenceProfile
from worker.drift.significance import Policy
from worker.errors import ConfigurationError, ModelError
from worker.kafka.at_least_once import AtLeastOnceSink
from worker.kafka.config import admin_config, consumer_config, producer_config
from worker.kafka.input_watch import KafkaInputWatch
from worker.kafka.needed_rights import monitor_rights, worker_rights
from worker.kafka.rights import check_rights
from worker.kafka.sketch_source import PARTITION as SKETCH_PARTITION
from worker.kafka.sketch_source import KafkaSketchSource, monitor_group
from worker.kafka.slots import Slot
from worker.kafka.source import KafkaSource
from worker.kafka.state_log import KafkaStateLog
from worker.kafka.topics import check_monitor_topics, check_topics, monitor_topics, needed_topics, partition_counts
from worker.kafka.transactional import TransactionalSink
from worker.kafka.watchdog import Watchdog
from worker.models import Bundle, BundlePredictor, Manifest, bind, bind_profile, open_bundle, profile_of
from worker.models.contents import Contents, read_contents
from worker.monitor.loop import MonitorLoop, MonitorObserver
from worker.monitor.watched import Memory
from worker.pipeline.batching import BatchingPolicy, BatchSize
from worker.pipeline.dead_letters import DeadLetterPolicy
from worker.pipeline.identity import Identity
from worker.pipeline.limits import DeadLetterLimits, LimitPolicy
from worker.pipeline.process import Pipeline
from worker.pipeline.sketching import Sketching
from worker.pipeline.validate import Validator
from worker.ports import Observer, Predictor, RecordSink
from worker.records import TopicPartition
from worker.registry.files import read_schema
from worker.registry.framing import framing
from worker.service import PredictionWorker
from worker.settings import Settings
from worker.shipped import output_schema

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """All of a worker that needs no broker, verified."""

    pipeline: Pipeline
    limits: LimitPolicy
    batching: BatchingPolicy
    served_by: ServedBy
    warnings: tuple[str, ...] = ()  # of the bundle; they have been logged

    @property
    def drift(self) -> bool:
        """Whether the worker counts for drift."""
        return self.pipeline.sketching is not None


def prepare(settings: Settings) -> Prepared:
    """Schema and bundle, checked against one another. Raises ConfigurationError and ModelError."""
    schema = read_schema(settings.event.schema_file)

    def check(manifest: Manifest) -> None:
        problems = [*bind(manifest, schema), *Identity.problems(schema, settings.event.id, settings.event.time)]
        if problems:
            raise ConfigurationError(
                problems, hint=f"make {settings.event.schema_file} and the bundle's features agree"
            )

    bundle = open_bundle(settings.model.bundle, digest=settings.model.digest, check=check)
    for warning in bundle.warnings:
        _LOG.warning("model bundle: %s", warning)
    predictor = BundlePredictor(bundle)
    predictor.check_golden()
    served_by = ServedBy(bundle.manifest.name, bundle.manifest.version, bundle.digest)
    sketching = _sketching(settings, schema, bundle)
    lengths = bundle.manifest.lengths
    prepared = assemble(settings, schema, predictor, served_by, lengths=lengths, sketching=sketching)
    return dataclasses.replace(prepared, warnings=tuple(bundle.warnings))


def assemble(
    settings: Settings,
    schema: RecordSchema,
    predictor: Predictor,
    served_by: ServedBy,
    *,
    lengths: Mapping[str, int] | None = None,
    sketching: Sketching | None = None,
) -> Prepared:
    """The pipeline around a predictor, and its policies; ``lengths``: of the vectors that it takes, by field.

    ``sketching``: how it counts for drift. Raises ConfigurationError for id and time fields that don't fit.
    """
    if problems := Identity.problems(schema, settings.event.id, settings.event.time):
        raise ConfigurationError(problems)
    limits, delivery = settings.dead_letters, settings.delivery
    pipeline = Pipeline(
        decoder=Decoder(schema, framing(settings.event, settings.registry, schema), time.perf_counter),
        validator=Validator(schema, lengths),
        identity=Identity.of(schema, settings.event.id, settings.event.time),
        predictor=predictor,
        encoder=PredictionEncoder(output_schema("prediction"), served_by),
        dead_letters=DeadLetterPolicy(
            topic=settings.topics.dead_letters,
            group=settings.kafka.group,
            worker_version=__version__,
            model_version=f"{served_by.name} {served_by.version}",
            dialect=limits.dialect,
            max_headers=limits.max_headers,
            max_header_bytes=limits.max_header_bytes,
        ),
        predictions_topic=settings.topics.predictions,
        timer=time.perf_counter,
        tombstones=settings.event.tombstones,
        sketching=sketching,
    )
    return Prepared(
        pipeline=pipeline,
        limits=LimitPolicy(
            digest=_digest(settings, schema, served_by.digest),
            max_ratio=limits.max_ratio,
            window_records=limits.window_records,
            max_consecutive=limits.max_consecutive,
        ),
        batching=BatchingPolicy(
            delivery.latency_target_ms / 1_000, delivery.max_batch_records, delivery.max_batch_bytes
        ),
        served_by=served_by,
    )


def _sketching(settings: Settings, schema: RecordSchema, bundle: Bundle) -> Sketching | None:
    """By the bundle's profile. Raises ModelError and ConfigurationError for one that is of no use."""
    drift, found = settings.drift, profile_of(bundle.files) if settings.drift.enabled is not False else None
    if found is None:
        if drift.enabled:
            raise ConfigurationError(
                "drift.enabled is true, and the bundle has no reference profile",
                hint="pack the model with --profile-data, or leave drift.enabled out",
            )
        return None
    profile, digest = found
    if problems := bind_profile(profile, schema):
        raise ConfigurationError(problems, hint="pack the model with this schema, or set drift.enabled to false")
    lateness = profile.window_seconds // 10 if drift.lateness_seconds is None else drift.lateness_seconds
    counting = Counting(
        profile=profile,
        profile_digest=digest,
        model_name=bundle.manifest.name,
        model_version=bundle.manifest.version,
        lateness_seconds=lateness,
        skew_seconds=drift.skew_seconds,
    )
    return Sketching(counting, SketchCodec(output_schema("drift_sketch")), settings.topics.drift_sketches)


def connect(settings: Settings, prepared: Prepared, observer: Observer) -> PredictionWorker:
    """A worker on the broker, subscribed and ready to run. Raises ConfigurationError and TransportError."""
    admin = admin_config(settings)
    topics, delivery = settings.topics, settings.delivery
    check_rights(admin, worker_rights(settings, drift=prepared.drift))
    counts = partition_counts(admin, needed_topics(topics, drift=prepared.drift))
    check_topics(counts, topics, drift=prepared.drift)
    encoder = prediction_encoder(settings, prepared.served_by)
    pipeline = dataclasses.replace(prepared.pipeline, encoder=encoder)
    consumer = consumer_config(settings, counts[topics.input])
    clock = SystemClock()
    watchdog = Watchdog(delivery.watchdog_seconds, clock)
    watchdog.start()
    sink: RecordSink
    if delivery.mode == "exactly-once":
        # Before subscribing: what a predecessor left open is ended, and no partition waits for it.
        transactional_id = Slot.take(settings.kafka.group).transactional_id(settings.kafka.group)
        _LOG.info("transactional id %s", transactional_id)
        config = producer_config(settings, transactional_id)
        sink = TransactionalSink(config, watchdog, clock, delivery.broker_timeout_seconds, behind=True)
        source = KafkaSource(consumer, topics.input, delivery.start)
    else:
        source = KafkaSource(consumer, topics.input, delivery.start, fenced=False)
        config = producer_config(settings, None)
        sink = AtLeastOnceSink(config, source, watchdog, clock, delivery.broker_timeout_seconds)
    return PredictionWorker(
        source=source,
        pipeline=pipeline,
        sink=sink,
        limits=DeadLetterLimits(prepared.limits),
        batch_size=BatchSize(prepared.batching),
        observer=observer,
        clock=clock,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """The model whose drift is looked for: its name and version, and its profile with the sha256 of its file."""

    model: str
    version: str
    profile: ReferenceProfile
    digest: str


def read_reference(settings: Settings, contents: Contents | None = None) -> Reference:
    """The bundle's; nothing is unpickled. Raises ModelError, also for a bundle without a profile."""
    contents = contents or read_contents(settings.model.bundle, digest=settings.model.digest)
    profile = profile_of(contents.files)
    if profile is None:
        raise ModelError(
            f"bundle {settings.model.bundle} has no reference profile",
            hint="pack the model again, with `model pack --profile-data`",
        )
    return Reference(contents.manifest.name, contents.manifest.version, *profile)


def prepare_monitor(settings: Settings) -> Memory:
    """The monitor of the bundle's model, by its reference profile. Raises ModelError."""
    contents = read_contents(settings.model.bundle, digest=settings.model.digest)
    reference = read_reference(settings, contents)
    profiles = {reference.digest: reference.profile}
    drift = settings.drift
    policy = Policy(rate=drift.rate, min_records=drift.min_records, effect_floor=drift.effect_floor)
    return Memory(
        model=reference.model,
        fresh=lambda: DriftMonitor(profiles, policy),
        recalled=lambda state: DriftMonitor.of_state(profiles, policy, state),
        quality_of=quality_monitor(settings, contents),
    )


def connect_monitor(settings: Settings, memory: Memory, observer: MonitorObserver) -> MonitorLoop:
    """A monitor on the broker, subscribed and ready to run. Raises ConfigurationError and TransportError."""
    topics, delivery, clock = settings.topics, settings.delivery, SystemClock()
    admin = admin_config(settings)
    check_rights(admin, monitor_rights(settings))
    needed = monitor_topics(topics, labels=settings.labels.enabled)
    check_monitor_topics(partition_counts(admin, needed.values()), needed)
    encoder = monitor_encoder(settings)
    watchdog = Watchdog(delivery.watchdog_seconds, clock)
    watchdog.start()
    # Before subscribing: what a predecessor left open is ended.
    group = monitor_group(settings.kafka.group)
    producer = {"compression.type": "lz4"} | producer_config(settings, Slot.take(group).transactional_id(group))
    sink = TransactionalSink(producer, watchdog, clock, delivery.broker_timeout_seconds)
    return MonitorLoop(
        source=KafkaSketchSource(consumer_config(settings) | {"group.id": group}, topics.drift_sketches),
        states=KafkaStateLog(settings),
        watch=KafkaInputWatch(settings),
        sink=sink,
        memory=memory,
        read_sketch=sketch_reader(),
        encoder=encoder,
        sketches=TopicPartition(topics.drift_sketches, SKETCH_PARTITION),
        patience_seconds=delivery.broker_timeout_seconds,
        observer=observer,
        clock=clock,
    )


def _digest(settings: Settings, schema: RecordSchema, bundle_digest: str) -> str:
    """Of all that decides which records are refused: once it changes, a tripped dead-letter limit is forgotten."""
    parts: Sequence[str] = (
        bundle_digest,
        schema.text,
        settings.event.model_dump_json(by_alias=True),
        settings.dead_letters.model_dump_json(),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
