"""Drift sketches to bytes and back, in single-object encoding.

The worker writes one in each transaction, so writing goes by whole arrays; the monitor reads them one by one.
"""

from __future__ import annotations

import functools
import io
import json
from typing import Any

import fastavro
import numpy as np
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.framing import SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER
from worker.avro.varints import long, longs, string
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.records import IntArray

# What ``write`` writes, in this order; the schema file must agree.
FIELDS = (
    *("model_name", "model_version", "profile_digest", "window_seconds", "lateness_seconds", "input_topic"),
    *("ranges", "windows"),
)
RANGE_FIELDS = ("partition", "first_offset", "next_offset", "watermark")
WINDOW_FIELDS = ("partition", "start", "records", "late", "bins", "counts")
_END_OF_ARRAY = b"\x00"


class SketchCodec:
    """Writes and reads sketches by the text of ``schemas/drift_sketch.avsc``."""

    def __init__(self, schema_text: str) -> None:
        schema = json.loads(schema_text)
        found = _names(schema), _names(_items(schema, "ranges")), _names(_items(schema, "windows"))
        if found != (FIELDS, RANGE_FIELDS, WINDOW_FIELDS):
            raise ValueError(f"the schema of sketches has the fields {found}")
        self._frame = SINGLE_OBJECT_MARKER + bytes.fromhex(
            fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        )
        self._schema = fastavro.parse_schema(_without_logical_types(schema))

    def write(self, sketch: Sketch) -> bytes:
        head = _head(
            *(sketch.model_name, sketch.model_version, sketch.profile_digest),
            *(sketch.window_seconds, sketch.lateness_seconds, sketch.input_topic),
        )
        ranges = _array([_range(one) for one in sketch.ranges])
        return b"".join((self._frame, head, ranges, _array([_window(one) for one in sketch.windows])))

    def read(self, value: bytes | None) -> Sketch:
        """Raises ValueError for anything but a sketch of this schema."""
        if value is None or value[:SINGLE_OBJECT_BYTES] != self._frame:
            raise ValueError("no drift sketch, or one of another version")
        body = io.BytesIO(value[SINGLE_OBJECT_BYTES:])
        try:
            fields: Any = fastavro.schemaless_reader(body, self._schema, None)
        except (EOFError, IndexError, UnicodeDecodeError, OverflowError) as error:
            raise ValueError(f"a damaged drift sketch: {type(error).__name__}") from None
        if body.read(1):
            raise ValueError("a damaged drift sketch: there is more than one")
        ranges = tuple(Range(*(one[name] for name in RANGE_FIELDS)) for one in fields["ranges"])
        windows = tuple(
            WindowCounts(
                partition=one["partition"],
                start_ms=one["start"],
                records=one["records"],
                bins=np.cumsum(one["bins"], dtype=np.int64),
                counts=np.array(one["counts"], np.int64),
                late=one["late"],
            )
            for one in fields["windows"]
        )
        return Sketch(**{name: fields[name] for name in FIELDS[:-2]}, ranges=ranges, windows=windows)


@functools.lru_cache(maxsize=4)
def _head(*values: str | int) -> bytes:
    return b"".join(string(value) if isinstance(value, str) else long(value) for value in values)


def _range(one: Range) -> bytes:
    values = (one.partition, one.first, one.next, one.watermark_ms)
    return b"".join(map(long, values))


def _window(one: WindowCounts) -> bytes:
    steps = one.bins.copy()
    steps[1:] -= one.bins[:-1]
    places = b"".join(map(long, (one.partition, one.start_ms, one.records, one.late)))
    return places + _longs_array(steps) + _longs_array(one.counts)


def _array(items: list[bytes]) -> bytes:
    return b"".join((long(len(items)), *items, _END_OF_ARRAY)) if items else _END_OF_ARRAY


def _longs_array(values: IntArray) -> bytes:
    return long(len(values)) + longs(values) + _END_OF_ARRAY if len(values) else _END_OF_ARRAY


def _items(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(field["type"]["items"] for field in schema["fields"] if field["name"] == name)
    return found


def _names(schema: dict[str, Any]) -> tuple[str, ...]:
    return tuple(field["name"] for field in schema["fields"])


def _without_logical_types(schema: Any) -> Any:
    """Times stay integers: a damaged one must not be more than a datetime can hold."""
    if isinstance(schema, dict):
        return {word: _without_logical_types(value) for word, value in schema.items() if word != "logicalType"}
    return [_without_logical_types(item) for item in schema] if isinstance(schema, list) else schema
