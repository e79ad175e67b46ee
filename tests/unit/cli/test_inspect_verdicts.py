"""The verdict of ``inspect`` is the worker's, by the schema as it is now."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from worker.avro.any_record import AnySchema, KnownSchemas, Unreadable
from worker.cli.verdicts import Judge, OutputJudge, Prefix, Verdict, Writer
from worker.records import Reason, Record, RecordBatch
from worker.settings import Event
from worker.shipped import output_schema

SCHEMA = {
    "type": "record",
    "name": "Payment",
    "namespace": "bank",
    "fields": [{"name": "amount", "type": "long", "minimum": 0}],
}
NESTED = {
    "type": "record",
    "name": "Outer",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "inner",
            "type": {
                "type": "record",
                "name": "Inner",
                "fields": [{"name": "xs", "type": {"type": "array", "items": "double"}}],
            },
        },
    ],
}
PREDICTION = {
    "event_id": "e",
    "event_time": 1,
    "model_name": "m",
    "model_version": "1",
    "model_digest": "d",
    "variant": "primary",
    "served_by": "primary",
    "label": None,
    "score": 0.5,
    "probabilities": [],
    "source_partition": 0,
    "source_offset": 0,
}


def event(folder: Path, **settings: Any) -> Event:
    path = folder / "payment.avsc"
    path.write_text(json.dumps(SCHEMA))
    return Event(schema=path, **settings)


def batch(*values: bytes | None) -> RecordBatch:
    return RecordBatch.of([Record("t", 0, i, 0, None, value) for i, value in enumerate(values)])


def prediction(**changes: Any) -> bytes:
    schema = AnySchema.of(output_schema("prediction"))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, PREDICTION | changes)
    return b"\xc3\x01" + schema.fingerprint + out.getvalue()


def reasons(verdicts: list[Verdict]) -> list[Reason | None]:
    return [verdict.refusal.reason if verdict.refusal else None for verdict in verdicts]


def test_rows_keep_their_verdicts(tmp_path: Path) -> None:
    """Good, unreadable and unlawful records of one batch each get their own verdict, and their values where they have any."""
    found = Judge(event(tmp_path, framing="raw")).judge(batch(b"\x54", b"\x53", b"\x54\x00", b"\x02"))
    assert reasons(found) == [None, Reason.BELOW_MINIMUM, Reason.TRAILING_BYTES, None]
    assert [verdict.values for verdict in found] == [{"amount": 42}, {"amount": -42}, None, {"amount": 1}]
    assert {(v.prefix, v.writer) for v in found} == {(Prefix("raw"), Writer("bank.Payment", "reader"))}


def test_vectors(tmp_path: Path) -> None:
    """An array that is a feature is judged by its items, and shown as a list, also when it is null."""
    vector = {"type": "array", "items": "int"}
    fields = [{"name": "v", "type": ["null", vector], "nullPolicy": "nan", "maxItems": 2, "minimum": 0}]
    (tmp_path / "v.avsc").write_text(json.dumps({"type": "record", "name": "V", "fields": fields}))
    judge = Judge(Event(schema=tmp_path / "v.avsc", framing="raw"))
    found = judge.judge(batch(b"\x02\x04\x02\x04\x00", b"\x00", b"\x02\x06\x02\x02\x02\x00", b"\x02\x02\x01\x00"))
    assert [verdict.values for verdict in found] == [{"v": [1, 2]}, {"v": None}, {"v": [1, 1, 1]}, {"v": [-1]}]
    assert reasons(found) == [None, None, Reason.TOO_LONG, Reason.BELOW_MINIMUM]


@pytest.mark.parametrize(
    ("policy", "tombstone", "reason"), [("skip", True, None), ("dead-letter", False, "empty_value")]
)
def test_tombstones_go_by_the_settings(tmp_path: Path, policy: str, tombstone: bool, reason: str | None) -> None:
    """A record without a value is skipped or refused as event.tombstones says."""
    (found,) = Judge(event(tmp_path, framing="raw", tombstones=policy)).judge(batch(None))
    assert (found.tombstone, found.refusal.reason if found.refusal else None) == (tombstone, reason)


def test_outputs_are_told_apart_by_fingerprint(tmp_path: Path) -> None:
    """On another topic, predictions are read by the shipped schema and the rest as events, whatever the framing."""
    values = (prediction(), b"\x54", prediction()[:-3], prediction() + b"\x00", None)
    found = OutputJudge(Judge(event(tmp_path, framing="raw"))).judge(batch(*values))
    assert reasons(found) == [None, None, Reason.MALFORMED, Reason.MALFORMED, None]
    assert found[0].values == PREDICTION
    assert found[1].values == {"amount": 42}
    assert [v.writer.role if v.writer else None for v in found] == ["shipped", "reader", "shipped", "shipped", None]


def test_the_input_is_not_read_as_an_output(tmp_path: Path) -> None:
    """In the input topic a prediction is what the worker takes it for: a record of an unknown schema."""
    assert reasons(Judge(event(tmp_path)).judge(batch(prediction()))) == [Reason.UNKNOWN_SCHEMA]


def test_any_shape_is_read_flat() -> None:
    """Nested fields have dotted names, arrays stay whole, and logical types stay as they are encoded."""
    schema = AnySchema.of(json.dumps(NESTED))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, {"at": 5, "inner": {"xs": [1.0, 2.0]}})
    assert schema.read(out.getvalue()) == {"at": 5, "inner.xs": [1.0, 2.0]}
    with pytest.raises(Unreadable, match="1 bytes follow"):
        schema.read(out.getvalue() + b"\x00")
    known = KnownSchemas([json.dumps(NESTED)])
    assert known.read(b"\xc3\x01" + schema.fingerprint + out.getvalue())["at"] == 5
    for stranger in (b"", b"\xc3\x01", prediction()):
        with pytest.raises(Unreadable):
            known.read(stranger)
