"""What must become of a record, by fastavro and the schema's own words alone; none of the worker's code is asked.

Where fastavro reads more than Avro's specification allows (numbers of more than ten bytes, a union's branch -1), or
what it reads can be written shorter (padded numbers), the record's bytes are not those that fastavro writes for the
same values. The worker may refuse those at the stage of decoding, and if it does not, it must predict the same values.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro

from tests.fuzz.agreement import without_logical_types

PREDICTED = ""
SHORTEST = 5
# Midnight of the year 1, and the last millisecond of 9999.
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Ruling:
    """The stage that must refuse the record, or ``PREDICTED``; ``or_decode``: decoding may refuse it all the same."""

    stage: str
    or_decode: bool = False
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Oracle:
    """``prefixes``: of every framing that is known, and whether it names the schema or another record's."""

    schema: Mapping[str, Any]
    parsed: Any
    prefixes: Mapping[bytes, bool]

    @classmethod
    def of(cls, schema: str, prefixes: Mapping[bytes, bool]) -> Oracle:
        raw = json.loads(schema)
        return cls(raw, fastavro.parse_schema(without_logical_types(raw)), prefixes)

    def ruling(self, value: bytes | None) -> Ruling:
        prefix = next((known for known in self.prefixes if value is not None and value.startswith(known)), None)
        if value is None or prefix is None or len(value) < SHORTEST:
            return Ruling("framing")
        if not self.prefixes[prefix]:
            return Ruling("decode")
        return self._of_body(value[len(prefix) :])

    def _of_body(self, body: bytes) -> Ruling:
        stream = io.BytesIO(body)
        try:
            fields: Any = fastavro.schemaless_reader(stream, self.parsed, None)
        except Exception:  # noqa: BLE001 - whatever it raises, it refuses
            return Ruling("decode")
        if stream.read(1) or not all(_held(field, fields[field["name"]]) for field in self.schema["fields"]):
            return Ruling("decode")
        written = io.BytesIO()
        fastavro.schemaless_writer(written, self.parsed, fields)
        sound = all(_allowed(field, fields[field["name"]]) for field in self.schema["fields"])
        return Ruling(PREDICTED if sound else "validate", written.getvalue() != body, fields)


def _held(field: Mapping[str, Any], value: Any) -> bool:
    """Whether the type can hold it, which fastavro does not ask: 32 bits of an int, the calendar's years of a time."""
    if field["type"] == "int":
        return bool(-(2**31) <= value < 2**31)
    return not isinstance(field["type"], dict) or FIRST_MS <= value <= LAST_MS


def _allowed(field: Mapping[str, Any], value: Any) -> bool:
    if value is None:
        return bool(field["nullPolicy"] == "nan")
    if isinstance(value, str):
        within = bool(field.get("minLength", 0) <= len(value) <= field.get("maxLength", math.inf))
        return within and (value in field["enum"] if "enum" in field else True)
    return math.isfinite(value) and bool(field.get("minimum", -math.inf) <= value <= field.get("maximum", math.inf))
