"""The values that flow: batches of records as columns, and what becomes of them.

A batch is columnar from edge to edge: one byte buffer and arrays of positions. A ``Record``, its ``Headers`` or a
``Refusal`` as objects are made only for what leaves the fast way (a report to a person).
"""

from worker.records.batches import Committable, OutgoingBatch, Record, RecordBatch, TopicPartition
from worker.records.headers import HeaderColumns, Headers
from worker.records.refusals import REASONS, Cause, Reason, Refusal, Refusals, Stage
from worker.records.slices import BoolArray, FloatArray, IntArray, Slices
from worker.records.value import value_class

__all__ = [
    "REASONS",
    "BoolArray",
    "Cause",
    "Committable",
    "FloatArray",
    "HeaderColumns",
    "Headers",
    "IntArray",
    "OutgoingBatch",
    "Reason",
    "Record",
    "RecordBatch",
    "Refusal",
    "Refusals",
    "Slices",
    "Stage",
    "TopicPartition",
    "value_class",
]
