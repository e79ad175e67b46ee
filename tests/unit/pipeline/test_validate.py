"""Constraints on whole columns: each word, each null policy, and which rule wins."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.columns import column_of
from worker.avro.schema import parse_schema
from worker.columns import Columns, NumberColumn
from worker.pipeline.validate import Validated, Validator
from worker.records import Reason

INF, NAN = float("inf"), float("nan")
VECTOR = {"type": "array", "items": "double"}


def validated(declared: Any, values: list[Any], **words: Any) -> Validated:
    """One field ``x`` of that type and with those words, on those values; batch rows are 100, 101, …"""
    schema = parse_schema(
        json.dumps({"type": "record", "name": "R", "fields": [{"name": "x", "type": declared, **words}]})
    )
    columns = Columns({"x": column_of(schema.fields[0], [{"x": value} for value in values])}, len(values))
    return Validator(schema).validate(columns, np.arange(len(values)) + 100)


@pytest.mark.parametrize(
    ("declared", "rule", "good", "bad", "reason"),
    [
        ("int", {"minimum": 18}, [18, 19], [17, -5], Reason.BELOW_MINIMUM),
        ("int", {"exclusiveMinimum": 18}, [19], [18, 17], Reason.BELOW_MINIMUM),
        ("int", {"maximum": 100}, [100, 99], [101], Reason.ABOVE_MAXIMUM),
        ("int", {"exclusiveMaximum": 100}, [99], [100, 101], Reason.ABOVE_MAXIMUM),
        ("long", {"maximum": 2**53}, [2**53], [2**53 + 1], Reason.ABOVE_MAXIMUM),
        ("double", {"minimum": 0.5}, [0.5, 1e300], [0.4999], Reason.BELOW_MINIMUM),
        ("float", {"maximum": 0.1}, [0.1], [0.2], Reason.ABOVE_MAXIMUM),
        ("int", {"enum": [1, 3]}, [1, 3], [2, 0], Reason.NOT_IN_ENUM),
        ("string", {"enum": ["a", "b"]}, ["a", "b"], ["c", ""], Reason.NOT_IN_ENUM),
        ("string", {"minLength": 2}, ["ab", "äö"], ["a", ""], Reason.TOO_SHORT),
        ("string", {"maxLength": 2}, ["ab", ""], ["abc"], Reason.TOO_LONG),
        ("string", {"pattern": "^[A-Z]{2}$"}, ["AB"], ["Ab", "ABC", ""], Reason.PATTERN_MISMATCH),
        ("bytes", {"maxLength": 2}, [b"ab"], [b"abc"], Reason.TOO_LONG),
        (VECTOR, {"minItems": 2}, [[1, 2], [0] * 9], [[1], []], Reason.TOO_SHORT),
        (VECTOR, {"maxItems": 2}, [[1, 2], []], [[1, 2, 3]], Reason.TOO_LONG),
        (VECTOR, {"minimum": 0}, [[0, 1], []], [[-1, 5], [5, -1], [-1]], Reason.BELOW_MINIMUM),
        (VECTOR, {"exclusiveMaximum": 5}, [[4.5]], [[5], [1, 6]], Reason.ABOVE_MAXIMUM),
        (VECTOR, {}, [[0.5]], [[NAN], [0, INF], [-INF, 0]], Reason.NOT_FINITE),
        (VECTOR, {"allowNaN": True, "maximum": 5}, [[NAN, 5]], [[NAN, 6]], Reason.ABOVE_MAXIMUM),
        ({"type": "array", "items": "int"}, {"enum": [1, 3]}, [[1, 3, 1], []], [[1, 2]], Reason.NOT_IN_ENUM),
    ],
)
def test_each_word(declared: Any, rule: dict[str, Any], good: list[Any], bad: list[Any], reason: Reason) -> None:
    """Each constraint refuses what breaks it and nothing else, and names field and rule."""
    found = validated(declared, [*good, *bad], **rule)
    assert found.rows.tolist() == [100 + i for i in range(len(good))]
    assert len(found.columns) == len(good)
    assert [(r.row, r.reason, r.field) for r in found.refusals] == [
        (100 + len(good) + i, reason, "x") for i in range(len(bad))
    ]
    assert all(r.detail.startswith(("x: is ", "x: has ")) or "pattern" in r.detail for r in found.refusals)


def test_no_value_in_the_detail() -> None:
    """A refusal never holds the record's value."""
    found = validated("string", ["secret"], enum=["a"], maxLength=3, pattern="^x")
    assert "secret" not in found.refusals[0].detail


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_not_finite(value: float) -> None:
    """NaN and infinity are refused, unless the field allows them."""
    assert validated("double", [value, 1.0]).refusals[0].reason is Reason.NOT_FINITE
    assert validated("double", [value, 1.0], allowNaN=True).refusals == ()


def test_nan_passes_bounds() -> None:
    """An allowed NaN is neither above nor below."""
    assert validated("double", [NAN], allowNaN=True, minimum=0, maximum=1).refusals == ()


def test_null_refused() -> None:
    """Null is refused unless the field says what it means, and for nothing but being null."""
    found = validated(["null", "double"], [None, 5.0], minimum=1)
    assert [(r.row, r.reason, r.detail) for r in found.refusals] == [(100, Reason.NULL_NOT_ALLOWED, "x: is null")]


@pytest.mark.parametrize(("declared", "values"), [("double", [None, 5.0]), ("string", [None, "abcd"])])
def test_null_as_nan(declared: str, values: list[Any]) -> None:
    """With ``nan`` a null passes every other rule, and stays null."""
    words: dict[str, Any] = (
        {"minimum": 1} if declared == "double" else {"minLength": 3, "pattern": "a", "enum": ["abcd"]}
    )
    found = validated(["null", declared], values, nullPolicy="nan", **words)
    assert found.refusals == ()
    assert found.columns["x"].null is not None
    assert found.columns["x"].null.tolist() == [True, False]


@pytest.mark.parametrize(
    ("declared", "values", "policy", "expected"),
    [
        ("double", [None, 5.0], "impute:2.5", [2.5, 5.0]),
        ("int", [None, 5], "impute:2", [2, 5]),
        ("string", [None, "b"], "impute:a", ["a", "b"]),
    ],
)
def test_null_imputed(declared: str, values: list[Any], policy: str, expected: list[Any]) -> None:
    """With ``impute`` a null becomes the value, and is null no longer."""
    found = validated([declared, "null"], values, nullPolicy=policy)
    assert found.columns["x"].objects().tolist() == expected
    assert found.columns["x"].null is None


def test_imputing_leaves_the_input() -> None:
    """Columns are values: imputing makes new ones."""
    schema = parse_schema(
        '{"type":"record","name":"R","fields":[{"name":"x","type":["null","double"],"nullPolicy":"impute:7"}]}'
    )
    column = NumberColumn(np.array([0.0]), np.array([True]))
    Validator(schema).validate(Columns({"x": column}, 1), np.array([0]))
    assert column.values.tolist() == [0.0]


def test_null_vectors() -> None:
    """A null vector is refused by default; with ``nan`` it passes every rule, and stays null."""
    found = validated(["null", VECTOR], [None, [1.0]], minItems=1)
    assert [(r.row, r.reason) for r in found.refusals] == [(100, Reason.NULL_NOT_ALLOWED)]
    passed = validated(["null", VECTOR], [None, [1.0]], minItems=1, minimum=0, nullPolicy="nan")
    assert passed.refusals == ()
    assert passed.columns["x"].objects().tolist() == [None, [1.0]]


@given(st.lists(st.lists(st.integers(-2, 12), max_size=4), max_size=30))
def test_vectors_one_by_one(vectors: list[list[int]]) -> None:
    """Of ragged vectors each is judged by its own items, and refused once."""
    found = validated(VECTOR, vectors, minItems=1, maxItems=3, minimum=0, maximum=9)
    good = [1 <= len(vector) <= 3 and all(0 <= item <= 9 for item in vector) for vector in vectors]
    assert found.rows.tolist() == [100 + i for i, is_good in enumerate(good) if is_good]
    assert sorted(r.row for r in found.refusals) == [100 + i for i, is_good in enumerate(good) if not is_good]
    assert found.columns["x"].objects().tolist() == [v for v, is_good in zip(vectors, good, strict=True) if is_good]


def test_first_rule_wins() -> None:
    """A record that breaks several rules is refused once, for the first: fields in their order, then words."""
    text = """{"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "int", "minimum": 10, "enum": [20]},
        {"name": "b", "type": "string", "maxLength": 1}]}"""
    schema = parse_schema(text)
    given = [{"a": 5, "b": "long"}, {"a": 11, "b": "long"}, {"a": 20, "b": "long"}, {"a": 20, "b": "s"}]
    columns = Columns({field.name: column_of(field, given) for field in schema.fields}, 4)
    found = Validator(schema).validate(columns, np.arange(4))
    assert {r.row: (r.field, r.reason) for r in found.refusals} == {
        0: ("a", Reason.BELOW_MINIMUM),
        1: ("a", Reason.NOT_IN_ENUM),
        2: ("b", Reason.TOO_LONG),
    }
    assert found.rows.tolist() == [3]


@given(st.lists(st.integers(-50, 150), max_size=50))
def test_conservation(values: list[int]) -> None:
    """Every row either passes or is refused once."""
    found = validated("int", values, minimum=0, exclusiveMaximum=100, enum=list(range(0, 100, 2)))
    expected = [100 + i for i, v in enumerate(values) if 0 <= v < 100 and v % 2 == 0]
    assert found.rows.tolist() == expected
    assert sorted([*expected, *(r.row for r in found.refusals)]) == [100 + i for i in range(len(values))]


_TEXTS = st.lists(st.sampled_from(["", "a", "ab", "äö", "abc", "c" * 70]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "words", [{"enum": ["a", "äö"]}, {"enum": ["a"], "maxLength": 1}, {"minLength": 2, "maxLength": 3}]
)
@given(texts=_TEXTS)
def test_few_as_many(words: dict[str, Any], texts: list[str]) -> None:
    """A batch of one text has the verdict that the text has among others."""
    together = validated("string", texts, **words)
    alone = [validated("string", [text], **words) for text in texts]
    assert together.rows.tolist() == [100 + i for i, found in enumerate(alone) if len(found.rows)]
    details = {100 + i: refusal.detail for i, found in enumerate(alone) for refusal in found.refusals}
    assert {refusal.row: refusal.detail for refusal in together.refusals} == details
