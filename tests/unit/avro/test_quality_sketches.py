"""Quality sketches as bytes."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.avro.any_record import AnySchema, KnownSchemas
from worker.avro.quality_sketches import AnySketchReader, QualitySketchCodec
from worker.avro.sketches import SketchCodec
from worker.drift.sketch import Range, Sketch
from worker.quality.exact import exact_sum
from worker.quality.sketch import Mark, QualitySketch
from worker.quality.tally import Tally
from worker.shipped import output_schema

CODEC = QualitySketchCodec(output_schema("quality_sketch"))
DRIFT = SketchCodec(output_schema("drift_sketch"))
TALLY = Tally(Counter(labelled=3, wrong=1), Counter(log_loss=exact_sum([0.1, 0.2, 1e-300])))
QUALITY_SKETCH = QualitySketch(
    "m", 60, 3_600, 126, (Mark(0, 5, 7), Mark(2, 6, 0)), {60_000: 4}, {("1.0.0", "primary", 120_000): TALLY}
)
DRIFT_SKETCH = Sketch("m", "1.0.0", "ab", 60, 6, "in", (Range(0, 1, 2, 3),), ())


def test_a_sketch_comes_back() -> None:
    """Counts, exact sums and marks are what they were."""
    assert CODEC.read(CODEC.write(QUALITY_SKETCH)) == QUALITY_SKETCH


def test_two_kinds_on_one_topic() -> None:
    """Each is read as what it says that it is, and nothing else as either."""
    reader = AnySketchReader(DRIFT, CODEC)
    assert reader.read(CODEC.write(QUALITY_SKETCH)) == QUALITY_SKETCH
    assert reader.read(DRIFT.write(DRIFT_SKETCH)) == DRIFT_SKETCH
    for value in (None, b"", b"nonsense", CODEC.write(QUALITY_SKETCH)[:-1], CODEC.write(QUALITY_SKETCH) + b"x"):
        with pytest.raises(ValueError, match=r"sketch"):
            reader.read(value)


def test_a_sum_that_is_none_is_refused() -> None:
    """A foreign record by the same schema does not end the monitor."""
    schema = AnySchema.of(output_schema("quality_sketch"))
    fields = KnownSchemas([output_schema("quality_sketch")]).read(CODEC.write(QUALITY_SKETCH))
    fields["windows"][0]["sums"]["log_loss"] = "1p99999999999"
    with pytest.raises(ValueError, match="no exact sum"):
        CODEC.read(schema.write(fields))
