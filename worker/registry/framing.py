"""How the settings say that records name their writer's schema, and where it is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from worker.avro.framing import Framed, SchemaLookup, frame_detected, frame_raw
from worker.avro.schema import RecordSchema
from worker.records import RecordBatch
from worker.registry.files import SchemaFiles
from worker.registry.http import RegistryHttp
from worker.registry.schemas import RegistrySchemas
from worker.settings import Event, Registry

IDS_FILE = "ids.toml"


def framing(event: Event, registry: Registry, schema: RecordSchema) -> Callable[[RecordBatch], Framed]:
    """Raises ConfigurationError. What it returns raises SchemaUnavailable where a registry does not answer."""
    if event.framing == "raw":
        return lambda batch: frame_raw(batch, schema, event.max_bytes)
    beside = event.schema_file.parent / IDS_FILE
    return detecting(registry, schema, event.schema_ids or (beside if beside.exists() else None), event.max_bytes)


def detecting(
    registry: Registry, schema: RecordSchema, ids: Path | None, max_bytes: int
) -> Callable[[RecordBatch], Framed]:
    """As ``framing``, of records that name their schema; ``ids``: an ``ids.toml``, where there is no registry."""
    lookup = _lookup(registry, schema, ids)
    return lambda batch: frame_detected(batch, lookup, max_bytes)


def _lookup(registry: Registry, schema: RecordSchema, ids: Path | None) -> SchemaLookup:
    if registry.url:
        files = SchemaFiles.read(schema, None)
        return RegistrySchemas(files, RegistryHttp(registry).get, time.monotonic)
    return SchemaFiles.read(schema, ids)
