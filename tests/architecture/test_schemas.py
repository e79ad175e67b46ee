"""Schemas that others read our records by: they parse, and their bytes never change by accident."""

import io
import json
from pathlib import Path

import fastavro
import numpy as np
import pytest

from tests.architecture.source import ROOT
from worker.avro.encode import Predicted, PredictionEncoder, ServedBy
from worker.avro.sketches import SketchCodec
from worker.columns import Scores
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.records import RecordBatch, Slices
from worker.shipped import output_schema

SCHEMAS = sorted((ROOT / "schemas").glob("*.avsc"))
# Of the one prediction below, by schemas/prediction.avsc: marker, fingerprint, then field after field.
GOLDEN = (
    "c301ed47eb24d958291d0e6576656e742d3180e0c2b6fe4e0a66726175640a312e322e338001616261626162616261626162"
    "6162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162"
    "61620e7072696d617279000206796573000000000000e83f04000000000000d03f000000000000e83f0006e0c508"
)

# Of the one sketch below, by schemas/drift_sketch.avsc.
GOLDEN_SKETCH = (
    "c301d49bc49d199c14420a66726175640a312e322e3380016162616261626162616261626162616261626162616261626162"
    "6162616261626162616261626162616261626162616261626162616261626162616261626162a038d0050c6576656e747302"
    "06e0c508f4c50880e0c2b6fe4e00020680e0c2b6fe4e100406082aee050006100e020000"
)
SKETCH = Sketch(
    "fraud",
    "1.2.3",
    "ab" * 32,
    3_600,
    360,
    "events",
    (Range(3, 70_000, 70_010, 1_356_998_400_000),),
    (WindowCounts(3, 1_356_998_400_000, 8, np.array([4, 25, 400]), np.array([8, 7, 1]), late=2),),
)


def encoded() -> bytes:
    empty = Slices.of([b""])
    batch = RecordBatch("events", np.array([3]), np.array([70_000]), np.array([0]), empty, empty)
    scores = Scores(np.array([0.75]), ("no", "yes"), np.array([1]), np.array([[0.25, 0.75]]))
    predicted = Predicted(np.array([0]), scores, Slices.of([b"event-1"]), np.array([1_356_998_400_000]))
    served_by = ServedBy("fraud", "1.2.3", "ab" * 32)
    return PredictionEncoder(output_schema("prediction"), served_by).encode(batch, predicted)[0] or b""


def test_predictions_keep_their_bytes() -> None:
    """A prediction's bytes are the ones that consumers have been reading; other ones are another version of the schema."""
    assert encoded().hex() == GOLDEN


def test_predictions_are_read_by_anyone() -> None:
    """What stands behind the ten bytes of framing is plain Avro by the published schema."""
    value = fastavro.schemaless_reader(
        io.BytesIO(encoded()[10:]), fastavro.parse_schema(json.loads(output_schema("prediction"))), None
    )
    assert isinstance(value, dict)
    assert (value["event_id"], value["label"], value["score"], value["source_offset"]) == (
        "event-1",
        "yes",
        0.75,
        70_000,
    )
    assert value["event_time"].isoformat() == "2013-01-01T00:00:00+00:00"


def test_sketches_keep_their_bytes() -> None:
    """A sketch's bytes are the ones that monitors have been reading."""
    assert SketchCodec(output_schema("drift_sketch")).write(SKETCH).hex() == GOLDEN_SKETCH


def test_sketches_are_read_by_anyone() -> None:
    """What stands behind the ten bytes of framing is plain Avro by the published schema."""
    body = SketchCodec(output_schema("drift_sketch")).write(SKETCH)[10:]
    value = fastavro.schemaless_reader(
        io.BytesIO(body), fastavro.parse_schema(json.loads(output_schema("drift_sketch"))), None
    )
    assert isinstance(value, dict)
    (covered,), (window,) = value["ranges"], value["windows"]
    assert (value["model_name"], value["input_topic"], covered["next_offset"], window["late"]) == (
        *("fraud", "events", 70_010, 2),
    )
    assert window["start"].isoformat() == "2013-01-01T00:00:00+00:00"
    assert (np.cumsum(window["bins"]).tolist(), window["counts"]) == ([4, 25, 400], [8, 7, 1])


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_schemas_are_valid(path: Path) -> None:
    """Every schema file is valid Avro, in a namespace under the project's name, and says what it is for."""
    schema = json.loads(path.read_text("utf-8"))
    fastavro.parse_schema(schema)
    assert schema["namespace"].split(".")[0] == "predictionworker"
    assert schema["doc"]
    assert path.stem.replace("_", "") == schema["name"].lower()
