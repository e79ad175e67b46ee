"""Records of both topics to rows."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from worker.avro.any_record import AnySchema
from worker.avro.decode import Decoder
from worker.avro.framing import frame_detected
from worker.avro.schema import RecordSchema, parse_schema
from worker.joiner.reading import LabelFields, LabelReader, PredictionReader, label_field
from worker.quality.scoring import Predicted, Scoring
from worker.records import Record, RecordBatch
from worker.registry.files import SchemaFiles
from worker.shipped import output_schema

BINARY = Scoring("binary", ("0", "1"), "1")
MULTICLASS = Scoring("multiclass", ("a", "b", "c"))
REGRESSION = Scoring("regression")
OWN = {
    "type": "record",
    "name": "Outcome",
    "fields": [
        {"name": "order", "type": "long"},
        {"name": "paid", "type": ["null", "boolean"], "nullPolicy": "nan"},
        {"name": "amount", "type": "float"},
        {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


def decoder(schema: RecordSchema) -> Decoder:
    return Decoder(schema, functools.partial(frame_detected, lookup=SchemaFiles(schema, {}), max_bytes=1_000_000))


def batch(schema: str, rows: Sequence[tuple[int, dict[str, Any]]]) -> RecordBatch:
    """Of rows with their partitions."""
    write = AnySchema.of(schema).write
    return RecordBatch.of(Record("t", p, 10 + i, 5_000 + i, None, write(row)) for i, (p, row) in enumerate(rows))


def prediction(event: str, **fields: object) -> dict[str, Any]:
    return {
        "event_id": event,
        "event_time": 1_000,
        "model_name": "m",
        "model_version": "1.0.0",
        "model_digest": "",
        "variant": "primary",
        "served_by": "primary",
        "label": None,
        "score": 0.5,
        "probabilities": [],
        "source_partition": 0,
        "source_offset": 0,
        **fields,
    }


def test_predictions_by_partition() -> None:
    """Rows keep their order; those of another model are passed over."""
    schema = output_schema("prediction")
    rows = [
        (2, prediction("e", label="1", score=0.9)),
        (0, prediction("f", label="0", score=0.1, variant="shadow")),
        (2, prediction("g", label="9", score=0.3, model_version="2.0.0")),
        (2, prediction("h", label="1", model_name="other")),
    ]
    found, refused = PredictionReader(decoder(parse_schema(schema)), "m", BINARY).read(batch(schema, rows))
    assert (sorted(found), refused) == ([0, 2], 0)
    assert (found[2].offsets, found[2].ids) == ([10, 12], [b"e", b"g"])
    assert (found[2].times_ms.tolist(), found[2].timestamps_ms.tolist()) == ([1_000, 1_000], [5_000, 5_002])
    assert found[2].said == [Predicted(1, 0.9), Predicted(-1, 0.3)]
    assert (found[2].variants[1], found[0].variants) == (("2.0.0", "primary"), [("1.0.0", "shadow")])


def test_predictions_of_other_tasks() -> None:
    """Of more than two classes the probabilities are kept; of a regression the value alone."""
    schema = output_schema("prediction")
    reader = PredictionReader(decoder(parse_schema(schema)), "m", MULTICLASS)
    found, _ = reader.read(batch(schema, [(0, prediction("e", label="b", score=0.6, probabilities=[0.3, 0.6, 0.1]))]))
    assert found[0].said == [Predicted(1, 0.6, (0.3, 0.6, 0.1))]
    reader = PredictionReader(decoder(parse_schema(schema)), "m", REGRESSION)
    found, _ = reader.read(batch(schema, [(0, prediction("e", score=7.5))]))
    assert found[0].said == [Predicted(-1, 7.5)]


def test_labels_of_ones_own_schema() -> None:
    """Ids that are numbers, classes that are booleans, times in microseconds; a null is refused."""
    schema = parse_schema(json.dumps(OWN))
    rows = [(1, {"order": 7, "paid": paid, "amount": 2.5, "seen": 3_000_001}) for paid in (True, None, False)]
    found, refused = LabelReader(decoder(schema), LabelFields("order", "paid", "seen"), BINARY).read(
        batch(json.dumps(OWN), rows)
    )
    assert (found[1].ids, found[1].actual, found[1].times_ms, refused) == ([b"7", b"7"], [1, 0], [3_000, 3_000], 1)
    assert (found[1].offsets, found[1].timestamps_ms) == ([10, 12], [5_000, 5_002])


def test_labels_of_a_regression() -> None:
    """Numbers as they are; what is none, or no finite one, is refused."""
    schema = output_schema("label")
    values = (1.5, None, float("nan"), float("inf"), -2.0)
    rows = [(0, {"event_id": "e", "label": None, "value": value, "time": 1}) for value in values]
    fields = LabelFields("event_id", "value", "time")
    found, refused = LabelReader(decoder(parse_schema(schema)), fields, REGRESSION).read(batch(schema, rows))
    assert (found[0].actual, refused) == ([1.5, -2.0], 3)


def test_nothing_that_can_be_used() -> None:
    """A batch of foreign records gives no rows, and breaks nothing."""
    schema = parse_schema(output_schema("label"))
    reader = LabelReader(decoder(schema), LabelFields("event_id", "label", "time"), BINARY)
    assert reader.read(RecordBatch.of([Record("t", 0, 0, 0, None, b"x"), Record("t", 0, 1, 0, None, b"")])) == ({}, 2)


@pytest.mark.parametrize(
    ("fields", "scoring", "problems"),
    [
        (LabelFields("order", "paid", "seen"), BINARY, 0),
        (LabelFields("order", "amount", "seen"), REGRESSION, 0),
        (LabelFields("order", "amount", "seen"), BINARY, 1),
        (LabelFields("order", "paid", "seen"), REGRESSION, 1),
        (LabelFields("amount", "nothing", "order"), BINARY, 2),
    ],
)
def test_fields_that_do_not_fit(fields: LabelFields, scoring: Scoring, problems: int) -> None:
    """Every problem with the names of the fields is told, by the setting that has it."""
    found = fields.problems(parse_schema(json.dumps(OWN)), scoring)
    assert len(found) == problems
    assert all(line.startswith("labels.") for line in found)


def test_the_field_of_the_truth() -> None:
    """A class is in ``label``, a number in ``value`` where there is one, and in any case where the settings say."""
    shipped, own = parse_schema(output_schema("label")), parse_schema(json.dumps(OWN))
    assert label_field(shipped, None, BINARY) == "label"
    assert label_field(shipped, None, REGRESSION) == "value"
    assert label_field(own, None, REGRESSION) == "label"
    assert label_field(own, "amount", REGRESSION) == "amount"
