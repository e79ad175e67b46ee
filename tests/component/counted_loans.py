"""Loans that are counted for drift: a profile, and what must come of them."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support import drift
from tests.support.drift import Event, Row, Window, category, numeric, profile_of
from worker.avro.sketches import SketchCodec
from worker.drift.counting import Counting
from worker.drift.profile import LABEL, SCORE
from worker.drift.sketch import Sketch
from worker.pipeline.sketching import Sketching
from worker.records import Record
from worker.shipped import output_schema

WINDOW_MS, LATENESS_MS, SKEW_MS = 10_000, 1_000, 0
PROFILE = profile_of(
    numeric("age", 18, 30, 40, 100),
    numeric("credit_score", 300, 700, 850),
    numeric("income", 0.0, 50.0, 100.0),
    category("purpose", "car", "house"),
    numeric(SCORE, 0.0, 0.5, 0.96, 1.0),
    category(LABEL, "no", "yes"),
    window_seconds=WINDOW_MS // 1_000,
)
LOANS: tuple[dict[str, Any], ...] = ({}, {"age": 18, "income": None}, {"age": 40, "credit_score": 300}, {"income": 1e9})
CODEC = SketchCodec(output_schema("drift_sketch"))


@functools.cache
def sketching(topic: str) -> Sketching:
    counting = Counting(PROFILE, "p" * 64, "stub", "1.0.0", LATENESS_MS // 1_000, SKEW_MS / 1_000)
    return Sketching(counting, CODEC, topic)


def row_of(*, age: int = 30, credit_score: int = 700, income: float | None = 50.0) -> Row:
    """A value for each series, of the loan that ``worker_rig.loan`` makes; the score is the stub's."""
    score = 0.5 + math.atan((age + credit_score + (income or 0)) / 100) / math.pi
    return (age, credit_score, income, "car", score, "yes" if score > 0.5 else "no")


def read(record: Record) -> Sketch:
    assert record.key == b"stub"
    return CODEC.read(record.value)


def windows_of(
    records: Iterable[Record], good: Mapping[bytes | None, Row]
) -> dict[Window, tuple[int, int, Counter[int]]]:
    """Of records in the order of their offsets; those with a value in ``good`` are predicted."""
    events = [Event(r.partition, r.timestamp_ms, r.timestamp_ms, good.get(r.value)) for r in records]
    return drift.windows_of(PROFILE, events, lateness_ms=LATENESS_MS, skew_ms=SKEW_MS)
