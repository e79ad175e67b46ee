"""The sections of the settings: every setting with its type, default, bounds and meaning.

``docs/configuration.md`` is written from here (``reference``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.settings.options import REFUSED_OPTIONS, impatient, resolved, unprotected
from worker.settings.schema_registry import Registry
from worker.settings.section import Section, Text

Mode = Literal["exactly-once", "at-least-once"]
Dialect = Literal["kafka", "connect", "spring"]

_SUFFIXES = {
    "predictions": "predictions",
    "dead_letters": "dlq",
    "drift_sketches": "drift-sketches",
    "drift_reports": "drift-reports",
    "drift_alerts": "drift-alerts",
    "drift_state": "drift-state",
    "labels": "labels",
    "quality_reports": "quality-reports",
}


class Kafka(Section):
    """The broker and the consumer group."""

    bootstrap: Text = Field(description="Broker addresses, host:port, separated by commas.")
    group: Text = Field(description="Consumer group; with the host's name and a slot it makes the transactional id.")
    protocol: Literal["classic", "consumer"] = Field(
        default="classic",
        description="Group protocol. 'consumer' (KIP-848) frees a dead worker's partitions after 45 s, 'classic' after 6 s.",
    )
    options: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Any librdkafka option, such as \"security.protocol\"; 'env:NAME' or 'file:PATH' reads a secret.",
    )

    @field_validator("options")
    @classmethod
    def _lawful(cls, options: dict[str, Any]) -> dict[str, Any]:
        bare = {name: name.removeprefix("consumer.").removeprefix("producer.") for name in options}
        refused = [f"{n} can't be set here ({REFUSED_OPTIONS[b]})" for n, b in bare.items() if b in REFUSED_OPTIONS]
        if refused:
            raise ValueError("; ".join(refused))
        if (problem := unprotected(options)) is not None:
            raise ValueError(problem)
        if (problem := impatient(options)) is not None:
            raise ValueError(problem)
        return options

    @property
    def joiner_group(self) -> str:
        """The group of the joiners beside this one of the workers."""
        return f"{self.group}-labels"

    def resolved_options(self) -> dict[str, str | int | float | bool]:
        """The options with ``env:`` and ``file:`` references replaced by the secrets that they name."""
        return {name: resolved(f"kafka.options.{name}", value) for name, value in self.options.items()}


class Topics(Section):
    """Topic names; outputs default to names made from the input's."""

    input: Text = Field(description="Feature events.")
    predictions: str = Field(default="", description="Predictions; default <input>.predictions.")
    dead_letters: str = Field(default="", description="Refused records, unchanged; default <input>.dlq.")
    drift_sketches: str = Field(
        default="", description="What the worker counted, a record a transaction; default <input>.drift-sketches."
    )
    drift_reports: str = Field(
        default="", description="What the monitor found, a record a window; default <input>.drift-reports."
    )
    drift_alerts: str = Field(
        default="", description="Episodes of drift as they open and close; default <input>.drift-alerts."
    )
    drift_state: str = Field(
        default="", description="What the monitor remembers, compacted; default <input>.drift-state."
    )
    labels: str = Field(
        default="", description="What was true of the events, once it is known; default <input>.labels."
    )
    quality_reports: str = Field(
        default="", description="Realised quality, a record a window; default <input>.quality-reports."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("input"), str):
            return {role: f"{values['input']}.{suffix}" for role, suffix in _SUFFIXES.items()} | values
        return values

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [self.input, *(getattr(self, role) for role in _SUFFIXES)]
        if len(set(names)) < len(names):
            raise ValueError(f"input and outputs must be different topics, not {names}")
        return self


class Event(Section):
    """What a feature event looks like."""

    # ``schema`` is taken in pydantic, and is the word that users know.
    schema_file: Path = Field(alias="schema", description="Avro schema file (.avsc) of the features, with constraints.")
    id: str | None = Field(default=None, description="Field with the event's id; default: topic-partition-offset.")
    time: str | None = Field(default=None, description="Field with the event's time; default: Kafka's timestamp.")
    framing: Literal["detect", "raw"] = Field(
        default="detect",
        description="'detect': Confluent prefix or Avro single-object; 'raw': bytes of the schema alone.",
    )
    schema_ids: Path | None = Field(
        default=None,
        description="TOML file mapping Confluent schema ids to schema files; default: ids.toml beside the schema.",
    )
    tombstones: Literal["skip", "dead-letter"] = Field(
        default="skip", description="What becomes of records without a value."
    )
    max_bytes: int = Field(default=10_000_000, ge=1, description="A larger record is refused.")


class Model(Section):
    """The model bundle."""

    bundle: Path = Field(description="Folder of the bundle that `model pack` made.")
    digest: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="sha256 of the bundle's manifest; unpinned means trusted, with a warning.",
    )


class Delivery(Section):
    """Guarantee, batches and deadlines."""

    mode: Mode = Field(default="exactly-once", description="One transaction a batch, or 'at-least-once'.")
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Only where the group has no offset yet."
    )
    latency_target_ms: int = Field(
        default=50, ge=1, le=60_000, description="Batches grow with the lag as long as one takes no longer."
    )
    max_batch_records: int = Field(default=10_000, ge=1, le=1_000_000, description="Never more records in one batch.")
    max_batch_bytes: int = Field(default=16_000_000, ge=1_000, description="Roughly never more bytes in one batch.")
    transaction_timeout_seconds: float = Field(
        default=10, ge=1, le=900, description="After this the broker aborts an open transaction."
    )
    watchdog_seconds: float = Field(
        default=15, ge=1, description="A call on the broker that hangs for longer ends the process."
    )
    broker_timeout_seconds: float = Field(
        default=60,
        ge=1,
        description="How long to wait for the transaction coordinator at the start, or for acknowledgements, before exiting.",
    )
    grace_seconds: float = Field(
        default=20, ge=1, description="How long a stop may take before the process ends anyway."
    )


class DeadLetters(Section):
    """Limits that stop the worker, so that a bad deploy does not dead-letter a whole topic."""

    max_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Stop when more of the recent records were refused; 1: never."
    )
    window_records: int = Field(
        default=1_000, ge=10, description="How many recent records of a partition the ratio is taken over, at least."
    )
    max_consecutive: int = Field(
        default=1_000, ge=0, description="Stop at so many refused in a row in one partition; 0: never."
    )
    dialect: Dialect = Field(
        default="kafka", description="Header names: KIP-1191's ('kafka'), Kafka Connect's or Spring's."
    )
    max_headers: int = Field(default=64, ge=0, description="So many of the record's own headers are kept.")
    max_header_bytes: int = Field(
        default=16_384, ge=0, description="So many bytes of the record's own headers are kept."
    )


class Drift(Section):
    """Counting what comes in and what is predicted, and judging it against the bundle's reference profile."""

    enabled: bool | None = Field(default=None, description="Default: when the bundle has a profile.")
    lateness_seconds: int | None = Field(
        default=None,
        ge=0,
        description="How long a window stays open for events that come late; default: a tenth of its length.",
    )
    skew_seconds: float = Field(
        default=60,
        ge=0,
        description="An event dated later than its Kafka timestamp by more than this does not move time on.",
    )
    rate: float = Field(default=1.0, gt=0, description="False episodes in 1,000 windows, over all series.")
    min_records: int = Field(default=100, ge=1, description="A window with fewer records is reported, not judged.")
    effect_floor: float = Field(
        default=0.05, ge=0, le=1, description="A smaller Jensen-Shannon distance is no drift, however certain."
    )
    monitor: bool = Field(
        default=False, description="`run` starts a monitor beside its workers; else it is `prediction-worker monitor`."
    )


class Labels(Section):
    """Labels that come later, joined to the predictions: realised quality and concept drift."""

    horizon_seconds: int | None = Field(
        default=None,
        ge=1,
        description="Join labels that are dated up to so long after their event; default: there are no labels.",
    )
    # ``schema`` is taken in pydantic, and is the word that users know.
    schema_file: Path | None = Field(
        default=None, alias="schema", description="Avro schema file of the labels; default: schemas/label.avsc."
    )
    id: Text = Field(default="event_id", description="Field of a label with its event's id.")
    label: str | None = Field(
        default=None,
        description="Field with what was true; default: label for a class, value for a regression's number.",
    )
    time: Text = Field(default="time", description="Field with the time at which that was known.")
    error_limit: float = Field(
        default=0.1, ge=0, description="The rule |prediction - actual| <= limit, whose breaches are counted."
    )
    error_rise: float = Field(
        default=0.05, ge=0, lt=1, description="So much more of the predictions may be wrong than of the held-out rows."
    )
    joiner: bool = Field(
        default=False, description="`run` starts a joiner beside its workers; else it is `prediction-worker join`."
    )

    @property
    def enabled(self) -> bool:
        return self.horizon_seconds is not None

    @model_validator(mode="after")
    def _has_horizon(self) -> Self:
        if self.joiner and not self.enabled:
            raise ValueError("labels.joiner needs labels.horizon_seconds")
        return self


class Telemetry(Section):
    """Metrics, health and logs."""

    host: str = Field(default="127.0.0.1", description="Address for /metrics, /healthz and /readyz.")
    port: int = Field(default=9464, ge=0, le=65_535, description="Port for them; 0 picks a free one.")
    log_format: Literal["auto", "json", "pretty"] = Field(
        default="auto", description="'auto': pretty on a terminal, else JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )


class Settings(BaseSettings):
    """All settings of one worker. ``load_settings`` makes it."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    kafka: Kafka
    topics: Topics
    event: Event
    registry: Registry = Registry()
    model: Model
    delivery: Delivery = Delivery()
    dead_letters: DeadLetters = DeadLetters()
    drift: Drift = Drift()
    labels: Labels = Labels()
    telemetry: Telemetry = Telemetry()

    @model_validator(mode="after")
    def _one_source_of_schemas(self) -> Self:
        if self.registry.url and (self.event.schema_ids or self.event.framing == "raw"):
            raise ValueError("registry.url goes with neither event.schema_ids nor event.framing = 'raw'")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # load_settings merges file and environment, so that either can be handed in
