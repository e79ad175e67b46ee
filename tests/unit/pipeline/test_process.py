"""The pure function at the centre: conservation, trace context, tombstones."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.component import counted_loans
from tests.component.worker_rig import LOAN, loan, pipeline
from tests.support.drift import added, counts_of
from worker.avro.schema import parse_schema
from worker.drift.profile import MISSING
from worker.drift.sketch import bin_places
from worker.pipeline.validate import Validator
from worker.records import Reason, Record, RecordBatch, TopicPartition
from worker.testing import StubPredictor, decode_prediction

POISON = StubPredictor(poison=lambda columns: columns["age"].objects() == 66)
PIPELINE = pipeline(POISON, "predictions", "letters")
VALUES = [loan(1), loan(2, age=17), loan(3, age=66), b"junk", b"", None, loan(4)[:-2], loan(5), loan(6) + b"x"]


def batch(values: list[bytes | None], **more: object) -> RecordBatch:
    return RecordBatch.of([Record("t", 0, i, 9, b"k%d" % i, v, **more) for i, v in enumerate(values)])  # type: ignore[arg-type]  # headers alone


@given(st.lists(st.sampled_from(VALUES), min_size=1, max_size=30))
def test_conservation(values: list[bytes | None]) -> None:
    """Records in = predictions + refusals + tombstones, and each output row is written."""
    outcome = PIPELINE.process(batch(values))
    assert outcome.predictions + len(outcome.refusals) + outcome.tombstones == len(values)
    assert sum(len(out) for out in outcome.outgoing) == outcome.predictions + len(outcome.refusals)
    assert outcome.tombstones == values.count(None)
    assert outcome.predictions == values.count(VALUES[0]) + values.count(VALUES[7])


def test_tombstones_as_dead_letters() -> None:
    """By policy a tombstone becomes a dead letter."""
    outcome = replace(PIPELINE, tombstones="dead-letter").process(batch([None, loan()]))
    assert (outcome.predictions, outcome.tombstones) == (1, 0)
    assert [r.reason for r in outcome.refusals] == [Reason.EMPTY_VALUE]


def test_order() -> None:
    """Predictions come first, then dead letters, each in the order of their records, with their keys."""
    predictions, letters = PIPELINE.process(batch([loan(1), b"junk!", loan(2), loan(3, age=17)])).outgoing
    assert (predictions.topic, letters.topic) == ("predictions", "letters")
    assert predictions.keys.to_list() == [b"k0", b"k2"]
    assert letters.keys.to_list() == [b"k1", b"k3"]
    assert [decode_prediction(value)["event_id"] for value in predictions.values.to_list()] == ["loan-1", "loan-2"]


def test_trace_context() -> None:
    """W3C trace context is passed on to the prediction, other headers are not."""
    headers = (
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("secret", b"s"),
        ("tracestate", b"a=b"),
    )
    (predictions,) = PIPELINE.process(batch([loan()], headers=headers)).outgoing
    assert predictions.headers == {
        0: (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=b"))
    }
    (predictions,) = PIPELINE.process(batch([loan()], headers=(("other", b""),))).outgoing
    assert predictions.headers == {}


def test_same_bytes() -> None:
    """A replay gives the same bytes, whatever stands beside a record."""
    alone = PIPELINE.process(batch([loan(1)])).outgoing[0].values.to_list()
    among = PIPELINE.process(batch([loan(1), b"junk", loan(2)])).outgoing[0].values.to_list()
    assert alone[0] == among[0]


def test_seconds() -> None:
    """Each stage's duration is told."""
    ticks = iter(range(0, 100, 3))
    outcome = replace(PIPELINE, timer=lambda: float(next(ticks))).process(batch([loan()]))
    assert outcome.seconds == {"decode": 3.0, "validate": 3.0, "predict": 3.0, "encode": 3.0, "count": 3.0}


def test_sketch() -> None:
    """What was counted comes last, keyed by the model; refused records are covered, and are in no window."""
    counting = replace(PIPELINE, sketching=counted_loans.sketching("sketches"))
    given = RecordBatch.of([Record("t", 0, i, 12_345, None, v) for i, v in enumerate([*VALUES, loan(4, income=None)])])
    outcome = counting.process(given, {TopicPartition("t", 0): 100})
    last = outcome.outgoing[-1]
    assert (last.topic, last.partition.tolist(), last.keys.to_list()) == ("sketches", [0], [b"stub"])
    sketch = counted_loans.CODEC.read(last.values[0])
    assert [(r.first, r.next, r.watermark_ms) for r in sketch.ranges] == [(0, len(given), 12_345)]
    rows = [counted_loans.row_of()] * 2 + [counted_loans.row_of(income=None)]
    assert added([sketch]) == {(0, 10_000): (3, 0, counts_of(counted_loans.PROFILE, rows))}
    assert outcome.watermarks == {TopicPartition("t", 0): 12_345}
    assert outcome.predictions == 3
    everything_else = PIPELINE.process(given)
    assert [out.topic for out in everything_else.outgoing] == [out.topic for out in outcome.outgoing[:-1]]
    assert everything_else.watermarks == {}


def test_sketch_of_nothing() -> None:
    """A batch of which nothing is predicted is covered all the same."""
    outcome = replace(PIPELINE, sketching=counted_loans.sketching("sketches")).process(batch([None, b"junk"]))
    sketch = counted_loans.CODEC.read(outcome.outgoing[-1].values[0])
    assert ([(r.first, r.next, r.watermark_ms) for r in sketch.ranges], sketch.windows) == ([(0, 2, 0)], ())


def test_imputed_is_missing() -> None:
    """A null that the schema imputes is counted as missing, as it is in the training rows."""
    schema = parse_schema(LOAN.text.replace('"nullPolicy": "nan"', '"nullPolicy": "impute:5"'))
    assert schema.text != LOAN.text
    counting = replace(PIPELINE, validator=Validator(schema), sketching=counted_loans.sketching("sketches"))
    (sketch,) = [
        counted_loans.CODEC.read(out.values[0])
        for out in counting.process(batch([loan(1, income=None)])).outgoing
        if out.topic == "sketches"
    ]
    places = bin_places({series.name: series.bins for series in counted_loans.PROFILE.series})
    assert places["income"] + MISSING in sketch.windows[0].bins.tolist()
