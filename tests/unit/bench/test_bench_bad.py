"""The families of bad records that are measured."""

from __future__ import annotations

import json

import pytest

from bench.bad import FAMILIES, GOOD, RULES, pairs, schema
from worker.avro.decode import Decoder
from worker.avro.framing import frame_detected
from worker.avro.schema import parse_schema
from worker.pipeline.validate import Validator
from worker.records import Record, RecordBatch
from worker.registry.files import SchemaFiles

REASONS = {
    "unknown framing": "unknown_framing",
    "unknown schema": "unknown_schema",
    "truncated": "malformed",
    "trailing byte": "trailing_bytes",
    "bit flipped": "malformed",
    "null refused": "null_not_allowed",
    "out of range": "above_maximum",
    "pattern": "pattern_mismatch",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_refused_for_one_reason(family: str) -> None:
    """Every record of a family is refused for its reason, and every good one is read."""
    own = parse_schema(schema(family))
    known = SchemaFiles(own, {})
    batch = RecordBatch.of([Record("in", 0, i, 0, *pair) for i, pair in enumerate(pairs(family, 0, 50))])
    decoded = Decoder(own, lambda given: frame_detected(given, known, 1_000)).decode(batch)
    valid = Validator(own).validate(decoded.columns, decoded.rows)
    found = [one.reason for one in (*decoded.refusals, *valid.refusals)]
    assert found == ([] if family == GOOD else [REASONS[family]] * 50)


def test_rules_are_for_fields_that_exist() -> None:
    """A family's rule is one of the event's fields, or it would measure nothing."""
    names = {field["name"] for field in json.loads(schema(GOOD))["fields"]}
    assert {name for name, _ in RULES.values()} <= names
