"""The synthetic events of the benchmark are what the worker would meet."""

from __future__ import annotations

import io
import json

import fastavro
import numpy as np
import pytest

from bench.events import STANDARD, Shape, draw, encode, keys, numbers_of
from worker.avro.framing import SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER
from worker.avro.schema import parse_schema

WIDTHS = (5, 6, 10, 23, 50, 200)


@pytest.mark.parametrize("fields", WIDTHS)
def test_a_shape_has_the_fields_asked_for(fields: int) -> None:
    """The schema has as many fields as were asked for, and the worker's gate accepts it."""
    assert len(parse_schema(Shape.of(fields).schema).fields) == Shape.of(fields).fields == fields


def test_the_standard_event() -> None:
    """23 fields in the proportions that the documentation names."""
    assert Shape.of(23) == STANDARD
    assert STANDARD.fields == 23


@pytest.mark.parametrize("fields", WIDTHS)
def test_the_bytes_are_the_columns(fields: int) -> None:
    """Fastavro reads from every value what was drawn, to its last byte."""
    shape = Shape.of(fields)
    events = draw(shape, 1_000, 40)
    parsed = fastavro.parse_schema(json.loads(shape.schema))
    for number, value in enumerate(encode(shape, events).to_list()):
        assert value is not None
        body = io.BytesIO(value[SINGLE_OBJECT_BYTES:])
        event = fastavro.schemaless_reader(body, parsed, None)
        assert body.read() == b""
        assert value.startswith(SINGLE_OBJECT_MARKER + parse_schema(shape.schema).fingerprint)
        assert isinstance(event, dict)
        assert event["id"] == f"event-{1_000 + number:012}"
        read = [np.nan if event[name] is None else event[name] for name in shape.features]
        np.testing.assert_array_equal(read, events.matrix[number])


def test_an_event_is_known_by_its_number() -> None:
    """The number of an event is found in its bytes, across the border of a digit."""
    values = encode(STANDARD, draw(STANDARD, 95, 10)).to_list()
    assert numbers_of([value or b"" for value in values]) == list(range(95, 105))


def test_nulls_are_there() -> None:
    """Some of every nullable double are null, and none of the others."""
    matrix = draw(STANDARD, 0, 2_000).matrix
    share = np.isnan(matrix).mean(axis=0)
    assert (share[STANDARD.plain : STANDARD.plain + STANDARD.nullable] > 0.05).all()
    assert not share[: STANDARD.plain].any()


def test_drawn_alike() -> None:
    """The same events whoever draws them, others from another number on."""
    first, again, later = (draw(STANDARD, n, 50) for n in (0, 0, 50))
    np.testing.assert_array_equal(first.matrix, again.matrix)
    assert keys(first) == keys(again) != keys(later)
    assert 0.3 < first.labels.mean() < 0.7
