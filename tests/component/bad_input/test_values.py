"""Families 25, 26, 32, 33, 37 and 40: records that decode, and hold what no model should see."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from tests.component.bad_input.bed import (
    Bed,
    Good,
    Size,
    body_schema,
    double,
    event,
    record_of,
    text,
    varint,
    verdicts,
)
from tests.component.bad_input.conftest import MakeBed
from worker.avro.schema import Kind
from worker.models import Feature, pack
from worker.testing import DeadLetterOf, PredictionOf

N = double(5)
SIGNALLING = b"\x01\x00\x00\x00\x00\x00\xf0\x7f"
NOT_FINITE = {
    "NaN": double(math.nan),
    "signalling NaN": SIGNALLING,
    "negative NaN": b"\xff" * 8,
    "infinity": double(math.inf),
    "negative infinity": double(-math.inf),
}
YEAR_10000_MS = 253_402_300_800_000


@pytest.mark.parametrize("name", NOT_FINITE)
def test_not_finite(bed: MakeBed, size: Size, name: str) -> None:
    """25: NaN and infinity are dead letters of their field, unless it says allowNaN."""
    bad = NOT_FINITE[name]
    on = bed(body_schema("double"))
    (found,) = on.among(Good(on.framed(double(1) + N), 6), [on.framed(bad + N)], size)
    assert isinstance(found, DeadLetterOf)
    assert (found.stage, found.reason, found.field) == ("validate", "not_finite", "x")
    on = bed(body_schema("double", allowNaN=True))
    assert verdicts(on.among(Good(on.framed(double(1) + N), 6), [on.framed(bad + N)], size)) == ["predicted"]


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800001, 0x7F800000, 0xFF800000])
def test_not_finite_float(bed: MakeBed, size: Size, bits: int) -> None:
    """25: floats of four bytes alike."""
    on = bed(body_schema("float"))
    bad = on.framed(struct.pack("<I", bits) + N)
    assert verdicts(on.among(Good(on.framed(struct.pack("<f", 1) + N), 6), [bad], size)) == ["validate/not_finite"]


def forest(folder: Path) -> Path:
    """A bundle of a random forest, which reckons in float32, on the fields x and n."""
    random = np.random.default_rng(0)
    rows = random.uniform(0, 10, (200, 2))
    wanted = (rows[:, 0] > 5).astype(int)
    model = RandomForestClassifier(5, random_state=0).fit(rows, wanted)
    features = [Feature(name=name, kind=Kind.DOUBLE) for name in ("x", "n")]
    pack(
        model, to=folder / "forest", name="f", version="1.0.0", features=features, X_test=rows[:50], y_test=wanted[:50]
    )
    return folder / "forest"


@pytest.mark.parametrize("number", [1e39, -1e39, 3.5e38, 1.7e308])
def test_above_float32(bed: MakeBed, size: Size, number: float, tmp_path: Path) -> None:
    """26: where a model of float32 raises on a number that is too large for it, only that record is a dead letter."""
    on = bed(body_schema("double"), bundle=forest(tmp_path))
    good = Good(on.framed(double(9) + N), 0)
    assert verdicts(on.among(good, [on.framed(double(number) + N)], size)) == ["predict/model_raised"]
    assert {p.label for p in on.run([good.value] * 3).predictions} == {"1"}


def test_within_float32(bed: MakeBed, size: Size, tmp_path: Path) -> None:
    """26: the largest float32 is predicted."""
    on = bed(body_schema("double"), bundle=forest(tmp_path))
    good = Good(on.framed(double(9) + N), 0)
    assert verdicts(on.among(good, [on.framed(double(3.4028e38) + N)], size)) == ["predicted"]


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


DECIMAL = logical("bytes", "decimal", precision=9, scale=2)


@pytest.mark.parametrize(
    ("kind", "sound", "bad"),
    [
        (logical("long", "timestamp-millis"), varint(0), [varint(n) for n in (2**62, -(2**62), YEAR_10000_MS)]),
        (logical("long", "timestamp-micros"), varint(0), [varint(n) for n in (2**62, -(2**62), -(2**63))]),
        (logical("int", "date"), varint(0), [varint(n) for n in (2**31 - 1, -(2**31))]),
        (logical("int", "time-millis"), varint(0), [varint(n) for n in (-1, 86_400_000)]),
        (logical("string", "uuid"), text(b"123e4567-e89b-12d3-a456-426614174000"), [text(b""), text(b"x" * 36)]),
        (DECIMAL, text(b"\0"), [text(b""), text(b"\x7f" * 5)]),
    ],
    ids=["timestamp-millis", "timestamp-micros", "date", "time-millis", "uuid", "decimal"],
)
def test_logical_types(bed: MakeBed, size: Size, kind: Any, sound: bytes, bad: list[bytes]) -> None:
    """32: what no calendar, decimal or UUID holds is a dead letter of its field."""
    on = bed(body_schema(kind))
    found = on.among(Good(on.framed(sound + N), 5), [on.framed(item + N) for item in bad], size)
    assert verdicts(found) == ["decode/invalid_value"] * len(bad)
    assert {item.field for item in found if isinstance(item, DeadLetterOf)} == {"x"}


@pytest.mark.parametrize("time", [2**62, -(2**62), 2**63 - 1, -(2**63), 0, -1, YEAR_10000_MS])
def test_event_time_far_away(bed: MakeBed, size: Size, time: int) -> None:
    """33: an event's time, however far, travels in its prediction and does nothing else."""
    on = bed(record_of(("x", "long"), ("s", "string")), time="x")
    # The stub sums the time up as well, so the neighbours' is small.
    good = Good(on.framed(varint(5) + text(b"a")), 5)
    (found,) = on.among(good, [on.framed(varint(time) + text(b"b"))], size)
    assert isinstance(found, PredictionOf)
    assert found.event_time_ms == time


@pytest.mark.parametrize("timestamp_ms", [2**62, 2**63 - 1, 1, -1])
def test_kafka_timestamp_far_away(bed: MakeBed, size: Size, timestamp_ms: int) -> None:
    """33: neither does Kafka's own timestamp, set by whoever produced the record."""
    on = bed(body_schema("int"))
    value = on.framed(varint(7) + N)
    bad = event(value, timestamp_ms=timestamp_ms)
    assert verdicts(on.among(Good(value, 12), [bad, event(b"junk!", timestamp_ms=timestamp_ms)], size)) == [
        "predicted",
        "framing/unknown_framing",
    ]


def test_event_id_twice_and_out_of_order(bed: MakeBed) -> None:
    """33: events that come twice or out of order are predicted each, in the order in which they came."""
    on = bed(record_of(("id", "string"), ("at", "long")), id="id", time="at")
    times = [30, 10, 20, 10, 10]
    result = on.run([on.framed(text(b"same") + varint(time)) for time in times])
    assert [p.event_time_ms for p in result.predictions] == times
    assert {p.event_id for p in result.predictions} == {"same"}


APPLICANT = record_of(
    {"name": "age", "type": "int", "minimum": 18, "maximum": 100},
    {"name": "rate", "type": "double", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"name": "grade", "type": "int", "enum": [1, 2, 3]},
    {"name": "code", "type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]*$"},
    {"name": "purpose", "type": "string", "enum": ["car", "house"]},
    {"name": "income", "type": ["null", "double"]},
    {"name": "debt", "type": ["null", "double"], "nullPolicy": "nan"},
    {"name": "term", "type": ["null", "int"], "nullPolicy": "impute:12"},
)


def applicant(**changes: Any) -> bytes:
    """A sound one, but for the changes."""
    usual = {"age": 30, "rate": 0.5, "grade": 2, "code": "abc", "purpose": "car", "income": 4.0, "debt": 8.0, "term": 6}
    schema = fastavro.parse_schema(APPLICANT)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, {**usual, **changes})
    return body.getvalue()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"age": 17}, ("below_minimum", "age", "minimum 18")),
        ({"age": 101}, ("above_maximum", "age", "maximum 100")),
        ({"rate": 0.0}, ("below_minimum", "rate", "exclusiveMinimum 0")),
        ({"rate": 1.0}, ("above_maximum", "rate", "exclusiveMaximum 1")),
        ({"grade": 4}, ("not_in_enum", "grade", "enum")),
        ({"code": "a"}, ("too_short", "code", "minLength 2")),
        ({"code": "abcde"}, ("too_long", "code", "maxLength 4")),
        ({"code": "ABC"}, ("pattern_mismatch", "code", "pattern")),
        ({"purpose": "secret-word"}, ("not_in_enum", "purpose", "enum")),
        ({"income": None}, ("null_not_allowed", "income", "is null")),
        ({"income": None, "debt": None, "term": None}, ("null_not_allowed", "income", "is null")),
    ],
)
def test_constraints(bed: MakeBed, size: Size, values: dict[str, Any], expected: tuple[str, str, str]) -> None:
    """40 and 37: a dead letter names the field and the rule that it breaks, and never the value."""
    on = bed(APPLICANT)
    reason, field, rule = expected
    (found,) = on.among(_sound(on), [on.framed(applicant(**values))], size)
    assert isinstance(found, DeadLetterOf)
    assert (found.stage, found.reason, found.field) == ("validate", reason, field)
    assert rule in found.detail
    said = b"\n".join(value or b"" for _, value in found.headers)
    assert b"secret-word" not in said
    assert b"ABC" not in said


def test_null_policies(bed: MakeBed, size: Size) -> None:
    """37: null is NaN or a stand-in where the schema says so."""
    on = bed(APPLICANT)
    nulls = on.framed(applicant(debt=None, term=None))
    assert verdicts(on.among(_sound(on), [nulls], size)) == ["predicted"]
    # The stub counts NaN as nothing: 30 + 0.5 + 2 + 4 + the 12 that the schema imputes.
    assert verdicts(on.among(Good(nulls, 48.5), [], size)) == []


def test_all_null(bed: MakeBed, size: Size) -> None:
    """37: a record of nothing but nulls reaches the model, where the schema lets each of them pass."""
    number, vector = {"type": ["null", "double"]}, {"type": ["null", {"type": "array", "items": "float"}]}
    fields = [
        {"name": name, "nullPolicy": "nan", **kind} for name, kind in (("a", number), ("b", number), ("v", vector))
    ]
    on = bed(record_of(*fields))
    good = Good(on.framed(varint(1) + double(1) + varint(1) + double(2) + varint(1) + varint(0)), 3)
    (found,) = on.among(good, [on.framed(varint(0) * 3)], size)
    assert isinstance(found, PredictionOf)
    assert found.score == 0.5


def _sound(on: Bed) -> Good:
    return Good(on.framed(applicant()), 30 + 0.5 + 2 + 4 + 8 + 6)
