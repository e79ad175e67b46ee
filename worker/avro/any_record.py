"""Single records of known schemas of any shape, arrays included: for what is rare or for people, not for every event.

The schemas must be trusted ones, those that come with the program: they are not gated.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.framing import SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER


class Unreadable(ValueError):  # noqa: N818 - a verdict
    """The bytes are no record of that schema; the text holds no value."""


@dataclass(frozen=True, slots=True)
class AnySchema:
    """``parsed`` is fastavro's form, without logical types: values stay as they are encoded."""

    name: str
    fingerprint: bytes
    parsed: Any = field(repr=False, compare=False)

    @staticmethod
    def of(text: str) -> AnySchema:
        parsed: Any = fastavro.parse_schema(_as_encoded(json.loads(text)))
        print64 = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
        return AnySchema(parsed["name"], print64, parsed)

    def read(self, body: bytes) -> dict[str, Any]:
        """Fields by dotted name; a map of the record's own stays one. Raises Unreadable."""
        stream = io.BytesIO(body)
        try:
            record: Any = fastavro.schemaless_reader(stream, self.parsed, None)
        except Exception:  # noqa: BLE001 - fastavro raises a dozen kinds; every one means that the bytes are at fault
            raise Unreadable(f"the bytes are no {self.name}") from None
        if left := len(body) - stream.tell():
            raise Unreadable(f"{left} bytes follow the record")
        maps = {field["name"] for field in self.parsed["fields"] if _is_map(field["type"])}
        return dict(_flat(record, "", maps))

    def write(self, record: Mapping[str, Any], prefix: bytes | None = None) -> bytes:
        """Behind the prefix, else in the single-object encoding.

        Raises whatever fastavro raises for a record that the schema can't hold.
        """
        body = io.BytesIO()
        body.write(prefix or SINGLE_OBJECT_MARKER + self.fingerprint)
        fastavro.schemaless_writer(body, self.parsed, record, strict=True)
        return body.getvalue()


class KnownSchemas:
    """Recognises single-object records by their fingerprint."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_fingerprint = {schema.fingerprint: schema for schema in map(AnySchema.of, texts)}

    def of(self, value: bytes | None) -> AnySchema | None:
        """The schema that the value names, if it is one of these."""
        if value is None or len(value) < SINGLE_OBJECT_BYTES or not value.startswith(SINGLE_OBJECT_MARKER):
            return None
        return self.by(value[len(SINGLE_OBJECT_MARKER) : SINGLE_OBJECT_BYTES])

    def by(self, fingerprint: bytes) -> AnySchema | None:
        """The schema of that fingerprint (of 8 bytes, little-endian), if it is one of these."""
        return self._by_fingerprint.get(fingerprint)

    def read(self, value: bytes) -> dict[str, Any]:
        """Fields by dotted name. Raises Unreadable, also for a value of none of the schemas."""
        schema = self.of(value)
        if schema is None:
            raise Unreadable("no known schema is named")
        return schema.read(value[SINGLE_OBJECT_BYTES:])


def _is_map(declared: Any) -> bool:
    return isinstance(declared, dict) and declared["type"] == "map"


def _flat(record: dict[str, Any], prefix: str, maps: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict) and name not in maps:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _as_encoded(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _as_encoded(value) for key, value in node.items() if key != "logicalType"}
    return [_as_encoded(item) for item in node] if isinstance(node, list) else node
