"""What a batch adds to the drift sketches: one record, for the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from worker.avro.sketches import SketchCodec
from worker.drift.counting import Counting, Predictions
from worker.records import OutgoingBatch, RecordBatch, Slices, TopicPartition

PARTITION = 0
"""Of the topic, the only one that is written to: a monitor reads a model's sketches whole, and in one order."""


@dataclass(frozen=True, slots=True)
class Sketching:
    """Counts batches and writes the sketches, keyed by the model's name."""

    counting: Counting
    codec: SketchCodec
    topic: str

    def sketch(
        self, batch: RecordBatch, predicted: Predictions | None, watermarks: Mapping[TopicPartition, int]
    ) -> tuple[OutgoingBatch, Mapping[TopicPartition, int]]:
        """The record, and the watermarks of the batch's partitions after it; ``watermarks`` are those before it."""
        counted = self.counting.count(batch, predicted, watermarks)
        key, value = self.counting.model_name.encode(), self.codec.write(counted.sketch)
        return OutgoingBatch(self.topic, np.array([PARTITION]), _alone(key), _alone(value)), counted.watermarks


def _alone(content: bytes) -> Slices:
    return Slices(content, np.array([0]), np.array([len(content)]))
