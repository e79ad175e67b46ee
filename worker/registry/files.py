"""Writer schemas from files: the configured schema, and those that an ``ids.toml`` names by Confluent id or GUID.

::

    [ids]
    7 = "payment.v1.avsc"      # relative to ids.toml
    12 = "payment.v2.avsc"

    [guids]                    # for records that name their schema in the header __value_schema_id
    89791762-2336-4186-9674-299b90a802e2 = "payment.v2.avsc"
"""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from worker.avro.framing import GUID_BYTES, Schema, UnknownSchema
from worker.avro.gate import WriterSchema, gate_writer
from worker.avro.schema import RecordSchema, SchemaRefused, parse_schema
from worker.errors import ConfigurationError

_FORM = 'ids.toml holds lines such as 7 = "payment.v1.avsc" under [ids], or GUIDs under [guids]'
Key = TypeVar("Key")
Parsed = TypeVar("Parsed", RecordSchema, WriterSchema)


def read_schema(path: Path, setting: str = "event.schema") -> RecordSchema:
    """The reader schema in a file, which ``setting`` names. Raises ConfigurationError."""
    return _read(path, parse_schema, setting)


def _read(path: Path, parse: Callable[[str], Parsed], setting: str = "event.schema") -> Parsed:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no schema file {path}", hint=f"set {setting}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the schema file {path} can't be read: {error}") from None
    except SchemaRefused as error:
        raise ConfigurationError(f"the schema {path} can't be used: {error}") from None


class SchemaFiles:
    """Looks writer schemas up, by Confluent id, single-object fingerprint or GUID."""

    def __init__(
        self,
        schema: RecordSchema,
        by_id: Mapping[int, Schema],
        by_guid: Mapping[bytes, Schema] | None = None,
    ) -> None:
        by_guid = by_guid or {}
        self._by_id = dict(by_id)
        known: list[Schema] = [schema, *by_id.values(), *by_guid.values()]
        # On the wire a fingerprint is little-endian, as fastavro gives it.
        by_fingerprint = {schema.fingerprint: schema for schema in reversed(known)}
        self._by_bytes = {**by_fingerprint, **by_guid}  # of 8 and of 16 bytes

    @classmethod
    def read(cls, schema: RecordSchema, ids: Path | None) -> SchemaFiles:
        """With an ``ids.toml``, if there is one. Raises ConfigurationError with every file that can't be used."""
        return cls(schema, *_read_ids(ids)) if ids else cls(schema, {})

    def __call__(self, key: int | bytes) -> Schema:
        """Raises UnknownSchema."""
        found = self._by_id.get(key) if isinstance(key, int) else self._by_bytes.get(key)
        if found is None:
            raise UnknownSchema(f"no schema is known by {_name(key)}")
        return found


def _name(key: int | bytes) -> str:
    if isinstance(key, int):
        return f"id {key}"
    return f"GUID {uuid.UUID(bytes=key)}" if len(key) == GUID_BYTES else f"fingerprint {key.hex()}"


def _read_ids(path: Path) -> tuple[dict[int, WriterSchema], dict[bytes, WriterSchema]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}", hint=_FORM) from None
    problems = [f"{path}: there is no table {name}" for name in tables if name not in ("ids", "guids")]
    by_id = _read_table(path, tables.get("ids", {}), "schema id", _id, problems)
    by_guid = _read_table(path, tables.get("guids", {}), "GUID", lambda key: uuid.UUID(key).bytes, problems)
    if problems:
        raise ConfigurationError(problems, hint=_FORM)
    return by_id, by_guid


def _read_table(
    path: Path, entries: Any, word: str, parse: Callable[[str], Key], problems: list[str]
) -> dict[Key, WriterSchema]:
    """The schemas of one table; what is wrong with it is added to ``problems``."""
    if not isinstance(entries, dict):
        problems.append(f"{path}: [ids] and [guids] are tables")
        return {}
    schemas: dict[Key, WriterSchema] = {}
    for key, name in entries.items():
        if not isinstance(name, str):
            problems.append(f"{path}: {key} does not name a file")
            continue
        try:
            schemas[parse(key)] = _read(path.parent / name, gate_writer)
        except ValueError:
            problems.append(f"{path}: {key} is no {word}")
        except ConfigurationError as error:
            problems += error.problems
    return schemas


def _id(key: str) -> int:
    """Raises ValueError for what four bytes can't hold."""
    number = int(key)
    if not 0 <= number < 2**31:
        raise ValueError(key)
    return number
