"""What becomes of a dead letter's record under the schema as it is now; the model is not asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.avro.decode import Decoder
from worker.pipeline.validate import Validator
from worker.records import Record, RecordBatch, Refusal
from worker.registry.files import framing, read_schema
from worker.settings import Event


@dataclass(frozen=True, slots=True)
class VerdictNow:
    """``refusals``: every rule that it breaks now, none: it would reach the model. ``values`` by (dotted) field."""

    schema: str
    tombstone: bool
    values: dict[str, Any] | None
    refusals: tuple[Refusal, ...]


def verdict_now(event: Event, record: Record) -> VerdictNow:
    """Raises ConfigurationError when the schema can't be read."""
    schema = read_schema(event.schema_file)
    batch = RecordBatch.of([record])
    decoder = Decoder(schema, framing(event, schema))
    decoded = decoder.decode(batch)
    if not len(decoded.rows):
        return VerdictNow(schema.name, bool(len(decoded.tombstones)), None, decoded.refusals)
    values = {field.name: decoded.columns[field.name].objects()[0] for field in schema.fields}
    valid = Validator(schema).validate(decoded.columns, np.zeros(1, np.int64))
    return VerdictNow(schema.name, tombstone=False, values=values, refusals=valid.refusals)
