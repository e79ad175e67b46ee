"""What becomes of a record under schema, settings and, where it is asked, the model as they are now."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.avro.any_record import KnownSchemas, Unreadable
from worker.avro.decode import Decoder
from worker.avro.framing import CONFLUENT_BYTES, GUID_BYTES, SCHEMA_HEADER, SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER
from worker.pipeline.validate import Validator
from worker.records import Headers, OutgoingBatch, Reason, RecordBatch, Refusal, Stage
from worker.registry.files import read_schema
from worker.registry.framing import framing
from worker.settings import Event, Registry
from worker.shipped import shipped

if TYPE_CHECKING:
    from worker.pipeline.process import Pipeline


@dataclass(frozen=True, slots=True)
class Prefix:
    """How a record names its schema: ``kind`` header, confluent, single-object, raw or none; ``schema``: GUID, id or fingerprint."""

    kind: str
    schema: int | str | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """The schema that a record was written by; ``role``: reader (the worker's own), another, or shipped (an output's)."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Said:
    """The model's answer; ``label`` is None for a regression."""

    score: float
    label: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``refusal``: the rule that it breaks now, none: it is good. ``values`` by (dotted) field, None: can't be decoded.

    ``tombstone``: it has no value and is skipped.
    """

    prefix: Prefix
    writer: Writer | None
    refusal: Refusal | None
    tombstone: bool
    values: dict[str, Any] | None
    said: Said | None = None


class Judge:
    """Judges records of the input and dead-letter topics as the worker does; with a ``pipeline`` the model, too."""

    def __init__(self, event: Event, pipeline: Pipeline | None = None, registry: Registry | None = None) -> None:
        """Raises ConfigurationError when a schema can't be read."""
        self.schema = read_schema(event.schema_file)
        self._event = event
        self._frame = framing(event, registry or Registry(), self.schema)
        self._decoder = Decoder(self.schema, self._frame)
        self._validator = Validator(self.schema)
        self._pipeline = pipeline

    def judge(self, batch: RecordBatch) -> list[Verdict]:
        """A verdict a row.

        Raises ModelError when the model, not a record, is at fault, and SchemaUnavailable.
        """
        decoded = self._decoder.decode(batch)
        places = {row: i for i, row in enumerate(decoded.rows.tolist())}
        columns = {field.name: decoded.columns[field.name].objects() for field in self.schema.fields}
        skipped = frozenset[int]()
        said: Mapping[tuple[int, int], Said] = {}
        if self._pipeline is not None:
            outcome = self._pipeline.process(batch)
            refusals: Iterable[Refusal] = outcome.refusals
            said = _answers(outcome.outgoing, self._pipeline.predictions_topic)
        else:
            refusals = (*decoded.refusals, *self._validator.validate(decoded.columns, decoded.rows).refusals)
        tombstones = decoded.tombstones.tolist()
        if self._event.tombstones == "skip":
            skipped = frozenset(tombstones)
        by_row = {row: Refusal(row, Stage.FRAMING, Reason.EMPTY_VALUE, "the value is null") for row in tombstones}
        by_row |= {refusal.row: refusal for refusal in refusals}
        writers = self._writers(batch)
        return [
            Verdict(
                prefix=prefix_of(batch.values[row], batch.headers.get(row, ()), raw=self._event.framing == "raw"),
                writer=writers.get(row),
                refusal=None if row in skipped else by_row.get(row),
                tombstone=row in skipped,
                values={name: _plain(v[places[row]]) for name, v in columns.items()} if row in places else None,
                said=said.get((int(batch.partition[row]), int(batch.offset[row]))),
            )
            for row in range(len(batch))
        ]

    def bodies(self, batch: RecordBatch) -> dict[int, tuple[bytes, int]]:
        """Of the rows whose writer's schema is known: its fingerprint, and where in the value the body begins."""
        framed = self._frame(batch)
        starts = framed.body_start - batch.values.start
        known = zip(framed.schemas, framed.rows, strict=True)
        return {row: (schema.fingerprint, int(starts[row])) for schema, rows in known for row in rows.tolist()}

    def _writers(self, batch: RecordBatch) -> dict[int, Writer]:
        framed = self._frame(batch)
        found: dict[int, Writer] = {}
        for schema, rows in zip(framed.schemas, framed.rows, strict=True):
            own = schema.fingerprint == self.schema.fingerprint
            found |= dict.fromkeys(rows.tolist(), Writer(schema.name, "reader" if own else "another"))
        return found


class OutputJudge:
    """Judges records of any other topic: those of the shipped output schemas by these, the rest as events."""

    def __init__(self, events: Judge) -> None:
        self._events = events
        self._known = output_schemas()

    def judge(self, batch: RecordBatch) -> list[Verdict]:
        bodies = self._events.bodies(batch)
        answers = {row: self._output(row, batch.values[row], *bodies.get(row, (b"", 0))) for row in range(len(batch))}
        found = {row: verdict for row, verdict in answers.items() if verdict is not None}
        rest = [row for row in range(len(batch)) if row not in found]
        if rest:
            others = RecordBatch.of([batch.record(row) for row in rest])
            found |= dict(zip(rest, self._events.judge(others), strict=True))
        return [found[row] for row in range(len(batch))]

    def _output(self, row: int, value: bytes | None, fingerprint: bytes, start: int) -> Verdict | None:
        """``fingerprint``: of the writer's schema where a registry or a file says it; the body begins at ``start``."""
        schema = self._known.by(fingerprint)
        if schema is None:
            schema, start = self._known.of(value), SINGLE_OBJECT_BYTES
        if value is None or schema is None or schema.fingerprint == self._events.schema.fingerprint:
            return None
        refusal = values = None
        try:
            values = schema.read(value[start:])
        except Unreadable as error:
            refusal = Refusal(row, Stage.DECODE, Reason.MALFORMED, str(error))
        return Verdict(
            prefix_of(value, (), raw=False), Writer(schema.name, "shipped"), refusal, tombstone=False, values=values
        )


def output_schemas() -> KnownSchemas:
    """Those that come with the program."""
    return KnownSchemas(path.read_text("utf-8") for path in sorted(shipped("schemas").glob("*.avsc")))


def prefix_of(value: bytes | None, headers: Headers, *, raw: bool) -> Prefix:
    """As ``frame_detected`` tells them apart; ``raw``: the settings say that values have no prefix."""
    if raw:
        return Prefix("raw")
    for claim in (claim or b"" for name, claim in headers if name == SCHEMA_HEADER):
        is_guid = len(claim) == 1 + GUID_BYTES and claim[0] == 1
        return Prefix("header", str(uuid.UUID(bytes=claim[1:])) if is_guid else claim[: 1 + GUID_BYTES].hex())
    if value is not None and len(value) >= CONFLUENT_BYTES and value[0] == 0:
        return Prefix("confluent", int.from_bytes(value[1:CONFLUENT_BYTES], "big", signed=True))
    if value is not None and len(value) >= SINGLE_OBJECT_BYTES and value.startswith(SINGLE_OBJECT_MARKER):
        return Prefix("single-object", value[len(SINGLE_OBJECT_MARKER) : SINGLE_OBJECT_BYTES].hex())
    return Prefix("none")


def _answers(outgoing: Iterable[OutgoingBatch], topic: str) -> dict[tuple[int, int], Said]:
    """What the predictions among the outputs say, by source partition and offset."""
    known = output_schemas()
    values = [value for out in outgoing if out.topic == topic for value in out.values.to_list() if value is not None]
    records = [known.read(value) for value in values]
    return {(r["source_partition"], r["source_offset"]): Said(r["score"], r["label"]) for r in records}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
