"""Schemas and bytes for tests, made by fastavro alone."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro

from worker.avro.schema import RecordSchema, parse_schema
from worker.records import Record, RecordBatch


def record_schema(*fields: Any, name: str = "R", **more: Any) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), **more})


def field(name: str, declared: Any, **words: Any) -> dict[str, Any]:
    return {"name": name, "type": declared, **words}


def schema_of(*fields: Any, name: str = "R", **more: Any) -> RecordSchema:
    return parse_schema(record_schema(*fields, name=name, **more))


def body(schema: RecordSchema, value: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema.text)), value)
    return out.getvalue()


def varint(number: int) -> bytes:
    """Avro's zigzag varint, of any size."""
    rest = number << 1 if number >= 0 else ((-number) << 1) - 1
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def batch(values: list[bytes | None]) -> RecordBatch:
    return RecordBatch.of([Record("t", 0, i, 0, None, value) for i, value in enumerate(values)])
