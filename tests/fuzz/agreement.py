"""What must hold between the lockstep reader, the record reader and fastavro, checked on one batch.

1. Lockstep and record by record: the same verdict, reason and field for every row, and the same columns.
2. What we accept, fastavro reads to the same values. Where fastavro refuses, so do we.
3. A record that was not damaged is refused only for its value.
"""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import fastavro
import numpy as np

from tests.fuzz.bodies import BodyMaker, damaged
from tests.fuzz.schemas import SchemaMaker
from worker.avro.cells import ReadColumn
from worker.avro.faults import Fault
from worker.avro.gate import gate_writer
from worker.avro.lockstep import ColumnReader, Reading
from worker.avro.schema import SchemaRefused
from worker.avro.slots import Form, Slot, decimal_value
from worker.columns import FEW_ROWS, Columns, NumberColumn
from worker.columns.text import TextColumn
from worker.columns.vectors import VectorColumn
from worker.records import Slices

# A sound record may still be refused for its value: by a logical type, or because the reader takes other types.
BY_VALUE = frozenset({Fault.VALUE, Fault.UNMATCHED, Fault.UNKNOWN_SYMBOL, Fault.UTF8})


class Disagreement(AssertionError):  # noqa: N818 - a finding
    """Two readers say different things of the same bytes."""


def batch_of(random: Random, writer: dict[str, Any], rows: int) -> tuple[list[bytes], set[int]]:
    oddity, share = random.choice((0.0, 0.02, 0.2)), random.choice((0.0, 0.1, 0.6))
    maker = BodyMaker(random, oddity)
    bodies = [maker.body(writer) for _ in range(rows)]
    harmed = [damaged(random, body) if random.random() < share else body for body in bodies]
    return harmed, {row for row in range(rows) if harmed[row] is bodies[row]}


def check_batch(random: Random, rows: int, reader_class: type[ColumnReader] = ColumnReader) -> tuple[int, int]:
    """One random schema pair and batch. Returns rows read and rows refused; (0, 0) if the pair does not resolve."""
    maker = SchemaMaker(random)
    writer = maker.writer()
    reader = maker.reader(writer) if random.random() < 0.7 else maker.reader({**writer})
    return check(writer, reader, *batch_of(random, writer, rows), reader_class)


def check(
    writer: dict[str, Any],
    reader: dict[str, Any],
    bodies: list[bytes],
    sound: set[int],
    reader_class: type[ColumnReader] = ColumnReader,
) -> tuple[int, int]:
    try:
        columnar = reader_class(gate_writer(json.dumps(writer)), gate_writer(json.dumps(reader)))
    except SchemaRefused:
        return 0, 0
    batch = Slices.of(bodies)
    single = columnar.read_by_record(batch.buffer, batch.start, batch.end)
    context = json.dumps({"writer": writer, "reader": reader})
    # Of many doubted rows the record reader is spared what the lanes have read; with 1 these are many.
    for columnar.switch_rows in (1, len(bodies) + 1):
        same(columnar.read_in_lockstep(batch.buffer, batch.start, batch.end), single, context, bodies)
    few(columnar, batch, single, context)
    against_fastavro(single, columnar, writer, bodies, context)
    for refused in single.refusals:
        if refused.row in sound and single.fault[refused.row] not in BY_VALUE:
            raise Disagreement(f"a sound record is refused: {refused}, {bodies[refused.row].hex()}\n{context}")
    return len(bodies), len(single.refusals)


def few(columnar: ColumnReader, batch: Slices, whole: Reading, context: str) -> None:
    """The values of few records are those of the columns, made of them late or of all records at once."""
    rows = whole.good[:FEW_ROWS]
    reading = columnar.read_by_record(batch.buffer, batch.start[rows], batch.end[rows])
    for name, column in whole.columns.items():
        if len(rows) and not isinstance(column, VectorColumn):
            expected, late = column.take(rows).to_list(), reading.columns[name].to_list()
            plain = list(Columns(reading.columns, len(rows), reading.few).values(name))
            if not repr(expected) == repr(late) == repr(plain):
                raise Disagreement(f"{name}: {expected!r}, in few records {late!r} and {plain!r}\n{context}")


def same(left: Reading, right: Reading, context: str, bodies: list[bytes]) -> None:
    if left.refusals != right.refusals or left.fault.tolist() != right.fault.tolist():
        wrong = next(iter(set(left.refusals) ^ set(right.refusals)))
        raise Disagreement(f"verdicts differ: {wrong}, {bodies[wrong.row].hex()}\n{context}")
    for name in right.columns:
        a, b = left.columns[name].objects().tolist(), right.columns[name].objects().tolist()
        for row, (one, other) in enumerate(zip(a, b, strict=True)):
            if repr(one) != repr(other):
                raise Disagreement(f"{name}: {one!r} and {other!r}, {bodies[row].hex()}\n{context}")
    for name in right.columns:
        one, other = _shape(left.columns[name]), _shape(right.columns[name])
        if one != other or one[3] or one[-1] is False:
            raise Disagreement(f"{name}: columns of the shapes {one} and {other}\n{context}")


def _shape(column: ReadColumn) -> tuple[Any, ...]:
    """What objects do not show: the types, lengths in characters, and how much a null holds (nothing)."""
    if isinstance(column, NumberColumn):
        hidden = 0 if column.null is None else int(np.count_nonzero(column.values[column.null]))
        return NumberColumn, column.values.dtype, column.null is None, hidden
    if isinstance(column, TextColumn):
        lengths = [0 if item is None else len(item) for item in column.objects()]
        hidden = 0 if column.null is None else int((column.end - column.start)[column.null].sum())
        return TextColumn, column.is_bytes, column.null is None, hidden, lengths == column.lengths().tolist()
    hidden = 0 if column.null is None else int(column.lengths()[column.null].sum())
    return VectorColumn, column.pool.dtype, column.null is None, hidden


def without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    return [without_logical_types(item) for item in node] if isinstance(node, list) else node


def against_fastavro(
    reading: Reading, columnar: ColumnReader, writer: dict[str, Any], bodies: list[bytes], context: str
) -> None:
    parsed = fastavro.parse_schema(without_logical_types(writer))
    columns = {name: column.objects().tolist() for name, column in reading.columns.items()}
    for row, body in enumerate(bodies):
        stream = io.BytesIO(body)
        try:
            value: Any = fastavro.schemaless_reader(stream, parsed, None)
        except Exception:  # noqa: BLE001 - whatever it raises, it refuses
            value = None
        accepted = reading.fault[row] == 0
        if accepted and (value is None or stream.tell() != len(body)):
            raise Disagreement(f"fastavro refuses, we accept: {body.hex()}\n{context}")
        if accepted:
            for slot in columnar.program.slots:
                if slot.index not in columnar.program.constants:
                    _compare(slot, value, columns[slot.name][row], f"{body.hex()}\n{context}")


def _compare(slot: Slot, record: Any, ours: Any, context: str) -> None:
    theirs = record
    for part in slot.name.split("."):
        theirs = theirs[part.removesuffix("_renamed")]
    if repr(converted(slot, theirs)) != repr(ours):
        raise Disagreement(f"{slot.name}: fastavro {theirs!r}, we {ours!r}\n{context}")


def converted(slot: Slot, value: Any) -> Any:
    """A value as the writer's schema gives it, as the reader's field must hold it."""
    if value is None or slot.form is Form.NUMBER:
        return value if value is None else _number(slot, value)
    if slot.form is Form.VECTOR:
        return [_number(slot, item) for item in value]
    if slot.form is Form.ENUM:
        return value if value in slot.symbols else getattr(slot.type, "default", None)
    if slot.form is Form.DECIMAL:
        assert slot.logical is not None
        return decimal_value(value, slot.logical)
    text = value.encode() if isinstance(value, str) else value
    return text.decode() if slot.is_string else text


def _number(slot: Slot, value: Any) -> Any:
    if slot.dtype not in (np.float32, np.float64):
        return value
    with np.errstate(over="ignore"):
        return np.array([float(value)]).astype(slot.dtype).tolist()[0]
