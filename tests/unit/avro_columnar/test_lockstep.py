"""The lockstep reader itself: that it does the work, at every size, and leaves to the record reader only what is odd."""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
import pytest

from bench.decode import SCHEMA, bodies
from tests.fuzz.bodies import varint
from tests.unit.avro_columnar.rig import doubted, read, reader_of, record, values
from worker.avro.gate import gate_writer
from worker.avro.lockstep import ColumnReader
from worker.avro.schema import parse_schema
from worker.avro.switchover import MOST_SWITCH_ROWS, measured_switch_rows, sample_body
from worker.records import Slices


def test_plain_records_are_all_read_in_lockstep() -> None:
    """None of the benchmark's records goes through the record reader."""
    writer = gate_writer(SCHEMA)
    assert doubted(ColumnReader(writer, writer), bodies(200, 0.3)) == 0


@pytest.mark.parametrize(
    ("declared", "items"),
    [
        ("string", ["é", "x" * 63, "x" * 64, "日本" * 50, ""]),
        ("bytes", [b"\xff" * 10, b"", b"a" * 5_000]),
    ],
)
def test_texts_of_any_length_are_read_in_lockstep(declared: str, items: list[Any]) -> None:
    """Texts of every length and script, and longs of every width, are plain."""
    encoded = [item.encode() if isinstance(item, str) else item for item in items]
    assert doubted(reader_of(record(("x", declared))), [varint(len(item)) + item for item in encoded]) == 0


def test_longs_of_every_width_are_read_in_lockstep() -> None:
    """A long of one to ten bytes is plain."""
    numbers = [n for bits in range(64) for n in ((1 << bits) - 1, -(1 << bits))]
    reader = reader_of(record(("x", "long")))
    assert doubted(reader, [varint(number) for number in numbers]) == 0
    assert values(read(record(("x", "long")), [varint(number) for number in numbers]), "x") == numbers


def test_skipped_containers_are_read_in_lockstep() -> None:
    """Short arrays, maps and unions that the reader does not want are skipped abreast."""
    writer = record(
        ("a", {"type": "array", "items": ["null", "string"]}),
        ("m", {"type": "map", "values": "double"}),
        ("u", ["null", "int", "string"]),
        ("y", "int"),
    )
    body = b"\x04\x00\x02\x02a\x02\x00\x00" + b"\x02\x02k" + bytes(8) + b"\x00" + b"\x04\x04zz" + b"\x0e"
    empty = b"\x00\x00\x00\x02"
    reader = reader_of(writer, record(("y", "int")))
    assert doubted(reader, [body, empty] * 10) == 0
    assert values(read(writer, [body, empty], record(("y", "int"))), "y") == [7, 1]


def test_long_containers_are_left_to_the_record_reader() -> None:
    """An array longer than is skipped abreast, or one of arrays, is skipped all the same."""
    writer = record(("a", {"type": "array", "items": {"type": "array", "items": "int"}}), ("y", "int"))
    wanted = record(("y", "int"))
    nested = b"\x02\x04\x02\x04\x00\x00\x0e"
    assert values(read(writer, [nested, b"\x00\x02"], wanted), "y") == [7, 1]
    writer = record(("a", {"type": "array", "items": "int"}), ("y", "int"))
    long = varint(40) + b"\x02" * 40 + b"\x00\x0e"
    assert values(read(writer, [long, b"\x00\x02"], wanted), "y") == [7, 1]
    assert doubted(reader_of(writer, wanted), [long] * 10) == 10


def test_vectors_are_read_in_lockstep() -> None:
    """Equal vectors are plain, ragged ones of floats, too; of ragged integers the odd row goes to the record reader."""
    for kind, item in (("double", bytes(8)), ("float", bytes(4)), ("int", b"\x02"), ("long", varint(2**40))):
        reader = reader_of(record(("x", {"type": "array", "items": kind})))
        equal = varint(3) + item * 3 + b"\x00"
        assert doubted(reader, [equal] * 9) == 0
        assert doubted(reader, [equal] * 9 + [varint(1) + item + b"\x00"]) == (kind in ("int", "long"))


def test_lying_vectors_take_no_memory() -> None:
    """Half a batch that announces long vectors beside one long record is refused without room for them all."""
    reader = reader_of(record(("x", {"type": "array", "items": "double"})))
    items = varint(100_000) + bytes(800_000) + b"\x00"
    batch = Slices.of([items] + [varint(100_000) + b"\x00"] * 2_000)
    started = time.thread_time()
    assert len(reader.read_in_lockstep(batch.buffer, batch.start, batch.end).refusals) == 2_000
    assert time.thread_time() - started < 2


def test_long_runs_of_fields() -> None:
    """More neighbouring doubles, floats and nullable ones than are gathered at once."""
    kinds: list[Any] = ["double"] * 40 + ["float", "double"] * 9 + [["null", "double"]] * 40 + [["float", "null"]] * 3
    schema = record(*[(f"f{i}", kind) for i, kind in enumerate(kinds)])

    def item(kind: Any, value: float) -> bytes:
        if isinstance(kind, list):
            present = kind.index("null") ^ 1
            return bytes([2 * present]) + item(kind[present], value)
        return struct.pack("<d" if kind == "double" else "<f", value)

    reading = read(schema, [b"".join(item(kind, i + row) for i, kind in enumerate(kinds)) for row in range(3)])
    assert all(values(reading, f"f{i}") == [i, i + 1, i + 2] for i in range(len(kinds)))


def test_no_records_and_empty_records() -> None:
    """A batch of none has empty columns; a record of no fields is no bytes."""
    reader = reader_of(record(("x", "string"), ("y", ["null", "double"])))
    nothing = np.empty(0, np.int64)
    for columns in (reader.read(b"", nothing, nothing).columns, reader.read_by_record(b"", nothing, nothing).columns):
        assert [len(column) for column in columns.values()] == [0, 0]
    assert read(record(), [b"", b"\x00"]).fault.tolist()[0] == 0
    assert read(record(), [b"", b"\x00"]).good.tolist() == [0]


def test_bodies_anywhere_in_the_buffer() -> None:
    """Bodies may overlap, leave gaps and stand in any order, in any kind of buffer; the buffer is not changed."""
    reader = reader_of(record(("x", "string")))
    buffer = bytearray(b"zz\x04abz\x02c")
    start, end = np.array([6, 2, 2]), np.array([8, 5, 5])
    for read_rows in (reader.read_in_lockstep, reader.read_by_record):
        for kind in (bytes(buffer), buffer, memoryview(buffer)):
            assert values(read_rows(kind, start, end), "x") == ["c", "ab", "ab"]
    assert (buffer, start.tolist()) == (bytearray(b"zz\x04abz\x02c"), [6, 2, 2])


def test_refused_rows_hold_nothing() -> None:
    """A refused row has zero, an empty text and an empty vector, so that the whole column can be used."""
    schema = record(
        ("s", "string"),
        ("e", {"type": "enum", "name": "E", "symbols": ["A"]}),
        ("v", {"type": "array", "items": "int"}),
        ("n", ["null", "double"]),
        ("b", "boolean"),
    )
    reading = read(schema, [b"\x02a\x00\x02\x02\x00\x00\x05"])
    assert {name: values(reading, name)[0] for name in "svnb"} == {"s": "", "v": [], "n": 0.0, "b": False}


def test_a_reader_schema_of_today() -> None:
    """The reader may be given as the worker holds it."""
    writer = gate_writer(SCHEMA)
    columns = ColumnReader(writer, parse_schema(SCHEMA)).read(*_places(bodies(40, 0.1))).columns
    assert list(columns) == [field.name for field in parse_schema(SCHEMA).fields]


def test_the_switch_is_measured() -> None:
    """The measured batch size is where the two readers' times cross, by the clock that is handed in."""
    writer = gate_writer(SCHEMA)
    reader = ColumnReader(writer, writer)
    ticks = iter(range(10_000))
    assert 1 <= measured_switch_rows(reader, lambda: float(next(ticks))) <= MOST_SWITCH_ROWS
    assert 1 <= measured_switch_rows(reader, time.perf_counter) <= MOST_SWITCH_ROWS


def test_the_sample_is_read() -> None:
    """What the switch is measured with is a good record of any schema."""
    schema = record(
        ("a", ["null", {"type": "array", "items": "int"}]),
        ("b", {"type": "map", "values": "string"}),
        ("c", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 1}),
        ("d", {"type": "string", "logicalType": "uuid"}),
        ("e", {"type": "enum", "name": "E", "symbols": ["A"]}),
        ("f", {"type": "fixed", "name": "F", "size": 5}),
        ("g", "null"),
        ("h", "float"),
        ("i", "boolean"),
        ("j", {"type": "long", "logicalType": "timestamp-millis"}),
    )
    wanted = record(*[field for field in [(f["name"], f["type"]) for f in schema["fields"]] if field[0] not in "abg"])
    body = sample_body(reader_of(schema, wanted).program.root)
    assert read(schema, [body, body], wanted).refusals == ()


def _places(written: list[bytes]) -> tuple[Any, Any, Any]:
    batch = Slices.of(written)
    return batch.buffer, batch.start, batch.end
