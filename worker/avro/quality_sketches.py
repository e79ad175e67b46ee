"""Quality sketches to bytes and back, and the two kinds of sketches on one topic told apart."""

from __future__ import annotations

from typing import Any

from worker.avro.any_record import AnySchema, KnownSchemas, Unreadable
from worker.avro.sketches import SketchCodec
from worker.drift.sketch import Sketch
from worker.quality import exact
from worker.quality.sketch import Mark, QualitySketch
from worker.quality.tally import Tally


class QualitySketchCodec:
    """Writes and reads them by the text of ``schemas/quality_sketch.avsc``."""

    def __init__(self, schema_text: str) -> None:
        self._schema = AnySchema.of(schema_text)
        self._known = KnownSchemas([schema_text])

    def knows(self, value: bytes | None) -> bool:
        """Whether a value says that it is one."""
        return self._known.of(value) is not None

    def write(self, sketch: QualitySketch) -> bytes:
        return self._schema.write(
            {
                "model_name": sketch.model_name,
                "window_seconds": sketch.window_seconds,
                "horizon_seconds": sketch.horizon_seconds,
                "grace_seconds": sketch.grace_seconds,
                "marks": [
                    {"partition": mark.partition, "predictions": mark.predictions_ms, "labels": mark.labels_ms}
                    for mark in sketch.marks
                ],
                "unmatched": [{"start": start, "count": count} for start, count in sorted(sketch.unmatched.items())],
                "windows": [
                    {
                        "model_version": version,
                        "variant": variant,
                        "start": start_ms,
                        "counts": dict(tally.counts),
                        "sums": {name: exact.to_text(total) for name, total in tally.sums.items()},
                    }
                    for (version, variant, start_ms), tally in sketch.tallies.items()
                ],
            }
        )

    def read(self, value: bytes | None) -> QualitySketch:
        """Raises ValueError for anything but a sketch of this schema."""
        try:
            fields = self._known.read(value or b"")
        except Unreadable as why:
            raise ValueError(f"no quality sketch: {why}") from None
        return QualitySketch(
            model_name=fields["model_name"],
            window_seconds=fields["window_seconds"],
            horizon_seconds=fields["horizon_seconds"],
            grace_seconds=fields["grace_seconds"],
            marks=tuple(Mark(one["partition"], one["predictions"], one["labels"]) for one in fields["marks"]),
            unmatched={one["start"]: one["count"] for one in fields["unmatched"]},
            tallies={_cell(one): Tally.of_state((one["counts"], one["sums"])) for one in fields["windows"]},
        )


class AnySketchReader:
    """Reads whichever of the two a value says that it is."""

    def __init__(self, drift: SketchCodec, quality: QualitySketchCodec) -> None:
        self._drift, self._quality = drift, quality

    def read(self, value: bytes | None) -> Sketch | QualitySketch:
        """Raises ValueError."""
        return self._quality.read(value) if self._quality.knows(value) else self._drift.read(value)


def _cell(window: dict[str, Any]) -> tuple[str, str, int]:
    return window["model_version"], window["variant"], window["start"]
