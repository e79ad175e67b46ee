"""The glance at all columns: what it leaves out is sound, and what is sound it mostly leaves out."""

from __future__ import annotations

import json
import math
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.columns import column_of
from worker.avro.schema import RecordSchema, parse_schema
from worker.columns import Columns
from worker.pipeline.screen import Screen
from worker.pipeline.validate import Validator

_BREAKS = {
    "minimum": operator.lt,
    "exclusiveMinimum": operator.le,
    "maximum": operator.gt,
    "exclusiveMaximum": operator.ge,
}
_TYPES: dict[str, Any] = {"int": np.int32, "float": np.float32, "double": np.float64}
_INTS = st.integers(-3, 3)
_DOUBLES = st.sampled_from([-math.inf, -3.0, -0.1, 0.0, 5e-324, 0.1, 3.0, math.inf, math.nan])
_BOUNDS = st.dictionaries(st.sampled_from(sorted(_BREAKS)), st.sampled_from([-2, -0.1, 0, 0.1, 3]))


def schema_of(fields: list[tuple[Any, dict[str, Any]]]) -> RecordSchema:
    """Fields f0, f1 and so on, of such types and with such words."""
    members = [{"name": f"f{i}", "type": declared, **words} for i, (declared, words) in enumerate(fields)]
    return parse_schema(json.dumps({"type": "record", "name": "R", "fields": members}))


def columns_of(schema: RecordSchema, rows: list[list[Any]]) -> Columns:
    given_rows = [{field.name: value for field, value in zip(schema.fields, row, strict=True)} for row in rows]
    return Columns({field.name: column_of(field, given_rows) for field in schema.fields}, len(rows))


def breaks(kind: str, words: dict[str, Any], value: Any) -> bool:
    """Whether a value breaks a rule, told one by one."""
    if value is None:
        return "nullPolicy" not in words
    number = _TYPES[kind](value)
    if not math.isfinite(number):
        return True
    return any(broken(number, words[word]) for word, broken in _BREAKS.items() if word in words)


@given(st.data())
def test_rows_that_pass(data: st.DataObject) -> None:
    """Of any number columns, the rows that pass are those whose values, one by one, break no rule."""
    kinds = data.draw(st.lists(st.sampled_from(sorted(_TYPES)), min_size=1, max_size=4))
    words = [data.draw(_BOUNDS) | data.draw(st.sampled_from([{}, {"nullPolicy": "nan"}])) for _ in kinds]
    values = [st.none() | (_INTS if kind == "int" else _DOUBLES) for kind in kinds]
    rows = data.draw(st.lists(st.tuples(*values).map(list), max_size=5))
    schema = schema_of([([kind, "null"], own) for kind, own in zip(kinds, words, strict=True)])
    found = Validator(schema).validate(columns_of(schema, rows), np.arange(len(rows)))
    sound = [i for i, row in enumerate(rows) if not any(map(breaks, kinds, words, row))]
    assert found.rows.tolist() == sound


@pytest.mark.parametrize(
    ("declared", "words", "values"),
    [
        ("int", {}, [-5, 5]),
        ("int", {"minimum": 1}, [1, 2]),
        ("float", {"maximum": 0.1}, [0.1, -7.0]),
        ("double", {}, [0.0, -1e308]),
        ("double", {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, [5e-324, 0.5]),
        (["null", "double"], {"nullPolicy": "nan", "minimum": 1}, [None, 1.0]),
        ("long", {}, [2**62]),
        ("string", {}, ["", "a"]),
        ("string", {"minLength": 1, "maxLength": 8}, ["abcd", "abcdefgh"]),
        ("bytes", {"minLength": 2}, [b"ab"]),
    ],
)
def test_sound_fields_are_left_out(declared: Any, words: dict[str, Any], values: list[Any]) -> None:
    """Ordinary fields without a breach need no closer look."""
    schema = schema_of([(declared, words)])
    assert Screen.of(schema.fields).suspects(columns_of(schema, [[value] for value in values])) == []


def test_suspects_keep_their_order() -> None:
    """Suspects come in the schema's order, whatever their kind: the first field that a record breaks is named."""
    schema = schema_of([("string", {"maxLength": 1}), ("double", {"minimum": 0}), ("string", {"enum": ["a"]})])
    suspects = Screen.of(schema.fields).suspects(columns_of(schema, [["long", -1.0, "b"]]))
    assert [field.name for field in suspects] == ["f0", "f1", "f2"]
