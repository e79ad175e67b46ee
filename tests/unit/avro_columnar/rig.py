"""Reads bodies both ways and holds the two to the same answer; what every test here builds on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import fastavro
import numpy as np

from tests.fuzz.agreement import same
from worker.avro.faults import Fault
from worker.avro.gate import gate_writer
from worker.avro.lockstep import ColumnReader, Place, Reading
from worker.records import Slices


def record(*fields: tuple[str, Any] | dict[str, Any], name: str = "Event", **more: Any) -> dict[str, Any]:
    """A record's schema; a field is a name and a type, or the whole of it."""
    whole = [field if isinstance(field, dict) else {"name": field[0], "type": field[1]} for field in fields]
    return {"type": "record", "name": name, "fields": whole, **more}


def written(schema: dict[str, Any], values: dict[str, Any]) -> bytes:
    """As fastavro writes it."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), values)
    return body.getvalue()


def reader_of(writer: dict[str, Any], reader: dict[str, Any] | None = None) -> ColumnReader:
    return ColumnReader(gate_writer(json.dumps(writer)), gate_writer(json.dumps(reader or writer)))


def read(writer: dict[str, Any], bodies: Sequence[bytes], reader: dict[str, Any] | None = None) -> Reading:
    """Read both ways, and in lockstep once more among good and bad neighbours."""
    columnar = reader_of(writer, reader)
    batch = Slices.of(bodies)
    single = columnar.read_by_record(batch.buffer, batch.start, batch.end)
    same(columnar.read_in_lockstep(batch.buffer, batch.start, batch.end), single, json.dumps(writer), list(bodies))
    many = Slices.of(list(bodies) * 12)
    repeated = columnar.read_in_lockstep(many.buffer, many.start, many.end)
    assert repeated.fault.tolist() == single.fault.tolist() * 12
    for name, column in single.columns.items():
        assert repr(repeated.columns[name].objects().tolist()) == repr(column.objects().tolist() * 12)
    return single


def values(reading: Reading, name: str) -> list[Any]:
    objects: list[Any] = reading.columns[name].objects().tolist()
    return objects


def faults(writer: dict[str, Any], bodies: Sequence[bytes], reader: dict[str, Any] | None = None) -> list[Fault]:
    """What is wrong with each, between two sound neighbours that must stay sound."""
    return [Fault(int(code)) for code in read(writer, bodies, reader).fault]


def doubted(columnar: ColumnReader, bodies: Sequence[bytes]) -> int:
    """How many rows the lockstep reader hands to the record reader."""
    counts = [0]
    inner = columnar._judged

    def noting(data: bytes, places: Iterable[Place]) -> Any:
        judged = inner(data, places)
        counts.append(len(judged.good) + len(judged.rows))
        return judged

    columnar._judged = noting  # type: ignore[method-assign]  # judges, then counts
    batch = Slices.of(bodies)
    columnar.read_in_lockstep(batch.buffer, batch.start, batch.end)
    columnar._judged = inner  # type: ignore[method-assign]
    return counts[-1]


def dtype_of(reading: Reading, name: str) -> np.dtype[Any]:
    dtype: np.dtype[Any] = reading.columns[name].values.dtype  # type: ignore[union-attr]  # a number's column
    return dtype
