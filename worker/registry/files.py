"""Writer schemas from files: the configured schema, and those that an ``ids.toml`` names by Confluent id.

::

    [ids]
    7 = "payment.v1.avsc"      # relative to ids.toml
    12 = "payment.v2.avsc"
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from worker.avro.framing import Framed, UnknownSchema, frame_detected, frame_raw
from worker.avro.schema import RecordSchema, SchemaRefused, parse_schema
from worker.errors import ConfigurationError
from worker.records import RecordBatch
from worker.settings import Event

IDS_FILE = "ids.toml"


def framing(event: Event, schema: RecordSchema) -> Callable[[RecordBatch], Framed]:
    """How the settings say that records name their writer's schema. Raises ConfigurationError."""
    if event.framing == "raw":
        return lambda batch: frame_raw(batch, schema, event.max_bytes)
    beside = event.schema_file.parent / IDS_FILE
    lookup = SchemaFiles.read(schema, event.schema_ids or (beside if beside.exists() else None))
    return lambda batch: frame_detected(batch, lookup, event.max_bytes)


def read_schema(path: Path) -> RecordSchema:
    """The schema in a file. Raises ConfigurationError."""
    try:
        return parse_schema(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no schema file {path}", hint="set event.schema") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the schema file {path} can't be read: {error}") from None
    except SchemaRefused as error:
        raise ConfigurationError(f"the schema {path} can't be used: {error}") from None


class SchemaFiles:
    """Looks writer schemas up, by Confluent id or by single-object fingerprint."""

    def __init__(self, schema: RecordSchema, by_id: Mapping[int, RecordSchema]) -> None:
        self._by_id = dict(by_id)
        known = [schema, *by_id.values()]
        # On the wire a fingerprint is little-endian, as fastavro gives it.
        self._by_fingerprint = {schema.fingerprint: schema for schema in reversed(known)}

    @classmethod
    def read(cls, schema: RecordSchema, ids: Path | None) -> SchemaFiles:
        """With an ``ids.toml``, if there is one. Raises ConfigurationError with every file that can't be used."""
        return cls(schema, _read_ids(ids) if ids else {})

    def __call__(self, key: int | bytes) -> RecordSchema:
        """Raises UnknownSchema."""
        found = self._by_id.get(key) if isinstance(key, int) else self._by_fingerprint.get(key)
        if found is None:
            name = f"id {key}" if isinstance(key, int) else f"fingerprint {key.hex()}"
            raise UnknownSchema(f"no schema is known by {name}")
        return found


def _read_ids(path: Path) -> dict[int, RecordSchema]:
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("ids", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} can't be read: {error}", hint="see worker/registry/files.py for its form"
        ) from None
    schemas: dict[int, RecordSchema] = {}
    problems: list[str] = []
    for key, name in entries.items():
        try:
            schemas[int(key)] = read_schema(path.parent / name)
        except ValueError:
            problems.append(f"{path}: {key} is no schema id")
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return schemas
