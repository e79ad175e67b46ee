"""Columns of several writer schemas put under one another."""

from __future__ import annotations

from tests.fuzz.bodies import varint
from tests.unit.avro_columnar.rig import read, record
from worker.avro.joined import joined


def test_readings_of_two_writers() -> None:
    """Rows of an old and a new writer schema make one column each, nulls, texts and vectors included."""
    vector = {"type": "array", "items": "int"}
    reader = record(
        ("s", "string"),
        {"name": "n", "type": ["null", "double"], "default": None},
        {"name": "t", "type": ["null", "string"], "default": None},
        ("v", vector),
        {"name": "w", "type": ["null", vector], "default": None},
        ("i", "int"),
    )
    old = read(record(("s", "string"), ("v", vector), ("i", "int")), [b"\x02a\x02\x0e\x00\x02"], reader)
    new = read(reader, [b"\x04bb\x02" + bytes(8) + b"\x02\x06new\x04\x02\x04\x00\x02\x02\x06\x00" + varint(-9)], reader)
    whole = {name: joined([old.columns[name], new.columns[name], old.columns[name]]) for name in old.columns}
    assert {name: column.objects().tolist() for name, column in whole.items()} == {
        "s": ["a", "bb", "a"],
        "n": [None, 0.0, None],
        "t": [None, "new", None],
        "v": [[7], [1, 2], [7]],
        "w": [None, [3], None],
        "i": [1, -9, 1],
    }
    assert joined([old.columns["s"]]) is old.columns["s"]
