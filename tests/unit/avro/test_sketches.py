"""Sketches on the wire."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from worker.avro.sketches import SketchCodec
from worker.avro.varints import FEW, long, longs, string
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.shipped import output_schema

TEXT = output_schema("drift_sketch")
CODEC = SketchCodec(TEXT)
PLAIN = fastavro.parse_schema({"type": "array", "items": "long"})
LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70)


@st.composite
def windows(draw: st.DrawFn) -> WindowCounts:
    bins = draw(st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=20).map(sorted))
    counts = draw(st.lists(st.integers(1, 2**40), min_size=len(bins), max_size=len(bins)))
    return WindowCounts(
        draw(st.integers(0, 2**31 - 1)),
        draw(LONGS),
        draw(st.integers(0, 2**40)),
        np.array(bins, np.int64),
        np.array(counts, np.int64),
        draw(st.integers(0, 2**40)),
    )


RANGES = st.builds(Range, st.integers(0, 2**31 - 1), LONGS, LONGS, LONGS)
SKETCHES = st.builds(
    Sketch,
    *(st.text(max_size=5) for _ in range(3)),
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**31 - 1),
    st.text(max_size=5),
    st.lists(RANGES, max_size=3).map(tuple),
    st.lists(windows(), max_size=3).map(tuple),
)


def plain(sketch: Sketch) -> object:
    """The same as values that can be compared."""
    counted = [(w.partition, w.start_ms, w.records, w.late, w.bins.tolist(), w.counts.tolist()) for w in sketch.windows]
    return (replace(sketch, windows=()), counted)


@given(SKETCHES)
def test_round_trip(sketch: Sketch) -> None:
    """What is read is what was written."""
    assert plain(CODEC.read(CODEC.write(sketch))) == plain(sketch)


@given(SKETCHES)
def test_damaged(sketch: Sketch) -> None:
    """A value that is cut short, longer, or of another schema is refused, whatever it holds."""
    value = CODEC.write(sketch)
    for wrong in (None, b"", value[:-1], value[:9], value + b"\x00", value[:9] + bytes([value[9] ^ 1]) + value[10:]):
        with pytest.raises(ValueError, match="drift sketch"):
            CODEC.read(wrong)


@given(arrays.arrays(np.int64, st.integers(0, 2 * FEW), elements=LONGS))
def test_longs(values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """Many longs are written as each by itself, and as fastavro writes them."""
    assert longs(values) == b"".join(map(long, values.tolist()))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PLAIN, values.tolist())
    assert out.getvalue() == (long(len(values)) + longs(values) + b"\x00" if len(values) else b"\x00")


def test_string() -> None:
    """The length counts bytes."""
    assert string("é") == b"\x04\xc3\xa9"


def test_another_schema() -> None:
    """A schema with other fields than are written is refused at once."""
    schema = json.loads(TEXT)
    schema["fields"][-1]["type"]["items"]["fields"].pop()
    with pytest.raises(ValueError, match="fields"):
        SketchCodec(json.dumps(schema))
