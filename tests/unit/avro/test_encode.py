"""Predictions to bytes that anyone can read who has ``schemas/prediction.avsc``."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import numpy as np
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.avro.samples import batch
from worker.avro.encode import Predicted, PredictionEncoder, ServedBy
from worker.columns import Scores
from worker.records import RecordBatch, Slices
from worker.shipped import output_schema

TEXT = (Path(__file__).parents[3] / "schemas" / "prediction.avsc").read_text()
SERVED_BY = ServedBy("fraud", "1.2.3", "ab" * 32)


def predicted(scores: Scores, count: int) -> Predicted:
    return Predicted(
        np.arange(count) + 1, scores, Slices.of([b"id-%d" % i for i in range(count)]), np.arange(count) * 1_000
    )


def read(value: bytes | None) -> dict[str, object]:
    """With plain fastavro, knowing nothing but the schema file."""
    assert value is not None
    schema = json.loads(TEXT)
    marker = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    assert value[:10] == marker
    stream = io.BytesIO(value[10:])
    found = fastavro.schemaless_reader(stream, schema)
    assert stream.read() == b""
    assert isinstance(found, dict)
    return found


def test_classification() -> None:
    """Label, score and probabilities of each row, with the place of its event."""
    scores = Scores(np.array([0.75, 0.5]), ("no", "yes"), np.array([1, 0]), np.array([[0.25, 0.75], [0.5, 0.5]]))
    encoder = PredictionEncoder(TEXT, SERVED_BY)
    first, second = encoder.encode(batch([b"", b"", b""]), predicted(scores, 2)).to_list()
    assert read(first) == {
        "event_id": "id-0",
        "event_time": datetime(1970, 1, 1, tzinfo=UTC),
        "model_name": "fraud",
        "model_version": "1.2.3",
        "model_digest": "ab" * 32,
        "variant": "primary",
        "served_by": "primary",
        "label": "yes",
        "score": 0.75,
        "probabilities": [0.25, 0.75],
        "source_partition": 0,
        "source_offset": 1,
    }
    assert read(second)["label"] == "no"
    assert read(second)["event_time"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_regression() -> None:
    """Without classes the label is null and there are no probabilities."""
    (value,) = (
        PredictionEncoder(TEXT, SERVED_BY).encode(batch([b"", b""]), predicted(Scores(np.array([-3.5])), 1)).to_list()
    )
    found = read(value)
    assert (found["label"], found["score"], found["probabilities"]) == (None, -3.5, [])


def test_golden_bytes() -> None:
    """The bytes are pinned: readers in other languages rely on them."""
    scores = Scores(np.array([0.75]), ("no", "yes"), np.array([1]), np.array([[0.25, 0.75]]))
    one = Predicted(np.array([1]), scores, Slices.of(["aä".encode()]), np.array([1_000]))
    (value,) = PredictionEncoder(TEXT, ServedBy("m", "1.0.0", "d")).encode(batch([b"", b""]), one).to_list()
    assert value is not None
    assert (
        value.hex()
        == "c301ed47eb24d958291d0661c3a4d00f026d0a312e302e3002640e7072696d617279000206796573000000000000e83f04000000000000d03f000000000000e83f000002"
    )


def test_the_shipped_schema() -> None:
    """The schema that is installed is the one in the repository."""
    assert output_schema("prediction") == TEXT


_LONGS = st.integers(-(2**63), 2**63 - 1)


@given(
    st.lists(st.tuples(st.binary(max_size=200), _LONGS, st.floats(), st.floats()), min_size=1, max_size=12),
    st.lists(st.text(max_size=9), max_size=3),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63 - 1),
)
def test_by_record_and_by_column(
    drawn: list[tuple[bytes, int, float, float]], names: list[str], partition: int, offset: int
) -> None:
    """A few predictions, written one by one, have the bytes that they have among many."""
    count, classes = len(drawn), tuple(names)
    ids, times, scores, chances = zip(*drawn, strict=True)
    label = np.arange(count) % len(classes) if classes else None
    found = Scores(np.array(scores), classes, label, np.outer(chances, np.ones(len(classes))) if classes else None)
    rows = np.arange(count)
    source = RecordBatch(
        "events", np.full(count, partition), np.full(count, offset), rows, Slices.of([None] * count), Slices.of(ids)
    )
    given_rows = Predicted(rows, found, Slices.of(ids), np.array(times, np.int64))
    encoder = PredictionEncoder(TEXT, SERVED_BY)
    by_record = encoder.encode_by_record(source, given_rows).to_list()
    assert by_record == encoder.encode_by_column(source, given_rows).to_list()
