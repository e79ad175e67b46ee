"""The checker: what a campaign's topics hold against what they must hold. Pure; ``reading`` fetches the topics.

Every event must have come to exactly one record: a good one to its prediction, a bad one to its dead letter, on its
own partition, with its own key, in its own order, and the group's offsets must say neither more nor less than that.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tests.chaos.stream import GOOD, Stream
from worker.records import BoolArray, FloatArray, IntArray

ObjectArray = npt.NDArray[np.object_]
Mode = Literal["exactly-once", "at-least-once"]
EXAMPLES = 5
_OFFSETS = 2**40  # more than any partition holds


class Fault(enum.StrEnum):
    """Everything that can be wrong, by name."""

    LOST = "lost"  # an event without any output
    DUPLICATE = "duplicate"  # an event with more than one
    PHANTOM = "phantom"  # an output of no event
    MISORDERED_PARTITION = "misordered in its partition"
    MISORDERED_KEY = "misordered in its key"
    WRONG_PARTITION = "wrong partition"
    WRONG_KEY = "wrong key"
    WRONG_PREDICTION = "wrong prediction"  # not the id or score of its event
    WRONG_DEAD_LETTER = "wrong dead letter"  # good record refused, bad one predicted, other bytes, other reason
    TORN = "torn"  # an offset committed without its outputs, or the reverse
    OFFSET_REGRESSION = "offset regression"
    LAG_LEFT = "lag left"
    HUNG_TRANSACTION = "hung transaction"


# What at-least-once does not promise. A doubled prediction must still be right, so that it can be recognised.
ALLOWED: Mapping[Mode, frozenset[Fault]] = {
    "exactly-once": frozenset(),
    "at-least-once": frozenset({Fault.DUPLICATE}),
}


@dataclass(frozen=True, slots=True)
class Predictions:
    """Records of the predictions topic, by partition and offset; every member has their number."""

    partition: IntArray
    source_partition: IntArray
    source_offset: IntArray
    key: ObjectArray
    event_id: ObjectArray
    score: FloatArray


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Records of the dead-letter topic, by partition and offset; every member has their number."""

    partition: IntArray
    source_partition: IntArray
    source_offset: IntArray
    key: ObjectArray
    value: ObjectArray
    reason: ObjectArray


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """Next offsets by partition: as committed in the end, and as sampled on the way, in order of time."""

    committed: Mapping[int, int]
    samples: Sequence[Mapping[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was read, and every fault found in it."""

    events: int
    predictions: int
    dead_letters: int
    findings: Mapping[Fault, Finding]

    @property
    def faults(self) -> frozenset[Fault]:
        return frozenset(self.findings)

    def count(self, fault: Fault) -> int:
        return self.findings[fault].count if fault in self.findings else 0

    def assert_sound(self, mode: Mode) -> None:
        assert self.events, "nothing was produced, so nothing is proven"
        assert self.faults <= ALLOWED[mode], self.text()

    def text(self) -> str:
        lines = [f"{self.events} events, {self.predictions} predictions, {self.dead_letters} dead letters"]
        lines += [f"  {fault}: {f.count}, such as {'; '.join(f.examples)}" for fault, f in self.findings.items()]
        return "\n".join(lines)


def check(
    stream: Stream,
    predictions: Predictions,
    dead_letters: DeadLetters,
    group: GroupOffsets,
    hung: Sequence[str] = (),
) -> Verdict:
    """The verdict on a campaign that has ended. ``hung`` names the topics that could not be read to their end."""
    index = _Index(stream)
    of_prediction = index.rows(predictions.source_partition, predictions.source_offset)
    of_letter = index.rows(dead_letters.source_partition, dead_letters.source_offset)
    outputs = np.bincount(np.concatenate((of_prediction, of_letter)) + 1, minlength=len(stream) + 1)[1:]
    faults = _Faults(stream)
    faults.of_events(Fault.LOST, outputs == 0)
    faults.of_events(Fault.DUPLICATE, outputs > 1)
    for topic, records, rows in (("prediction", predictions, of_prediction), ("dead letter", dead_letters, of_letter)):
        _check_routing(faults, topic, records, rows)
        _check_order(faults, topic, records, rows)
    _check_predictions(faults, predictions, of_prediction)
    _check_dead_letters(faults, dead_letters, of_letter)
    _check_offsets(faults, outputs, group)
    faults.add(Fault.HUNG_TRANSACTION, hung)
    return Verdict(len(stream), len(of_prediction), len(of_letter), faults.findings)


class _Index:
    """Finds an event by its place in the input."""

    def __init__(self, stream: Stream) -> None:
        places = stream.partition * _OFFSETS + stream.offset
        self._order = np.argsort(places)
        self._places = places[self._order]

    def rows(self, partition: IntArray, offset: IntArray) -> IntArray:
        """Row of the stream for each place, -1 where there is none."""
        places = partition * _OFFSETS + offset
        at = np.minimum(np.searchsorted(self._places, places), len(self._places) - 1)
        rows: IntArray = np.where(self._places[at] == places, self._order[at], -1)
        return rows


class _Faults:
    """Collects findings, with the first few of each as examples."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.findings: dict[Fault, Finding] = {}

    def add(self, fault: Fault, examples: Sequence[str], count: int | None = None) -> None:
        count = len(examples) if count is None else count
        if count:
            before = self.findings.get(fault, Finding(0, ()))
            self.findings[fault] = Finding(before.count + count, (*before.examples, *examples)[:EXAMPLES])

    def of_events(self, fault: Fault, wrong: BoolArray, note: str = "") -> None:
        """``wrong`` is over the events."""
        rows = np.flatnonzero(wrong)
        self.add(fault, [self._event(row) + note for row in rows[:EXAMPLES].tolist()], len(rows))

    def of_outputs(self, fault: Fault, topic: str, rows: IntArray, wrong: BoolArray) -> None:
        """``wrong`` is over the outputs, whose events are ``rows``."""
        at = np.flatnonzero(wrong)
        shown = at[:EXAMPLES].tolist()
        self.add(fault, [f"{topic} number {i} of event {self._event(int(rows[i]))}" for i in shown], len(at))

    def _event(self, row: int) -> str:
        return f"{self.stream.event_id[row]} ({self.stream.reason[row] or 'good'})" if row >= 0 else "unknown"


def _check_routing(faults: _Faults, topic: str, records: Predictions | DeadLetters, rows: IntArray) -> None:
    stream, known = faults.stream, rows >= 0
    faults.of_outputs(Fault.PHANTOM, topic, rows, ~known)
    faults.of_outputs(Fault.WRONG_PARTITION, topic, rows, known & (records.partition != stream.partition[rows]))
    faults.of_outputs(Fault.WRONG_KEY, topic, rows, known & (records.key != stream.key[rows]))


def _check_order(faults: _Faults, topic: str, records: Predictions | DeadLetters, rows: IntArray) -> None:
    """Judged on the first output of each event: doubled ones are a fault of their own."""
    stream = faults.stream
    first = np.zeros(len(rows), np.bool_)
    first[np.unique(rows, return_index=True)[1]] = True
    at = np.flatnonzero(first & (rows >= 0))
    _, key = np.unique(stream.key[rows[at]].astype(bytes), return_inverse=True)
    for fault, group, sequence in (
        (Fault.MISORDERED_PARTITION, records.partition[at], stream.offset[rows[at]]),
        (Fault.MISORDERED_KEY, key * 1_000 + records.partition[at], stream.key_sequence[rows[at]]),
    ):
        wrong = np.zeros(len(rows), np.bool_)
        wrong[at[_descents(group, sequence)]] = True
        faults.of_outputs(fault, topic, rows, wrong)


def _descents(group: IntArray, sequence: IntArray) -> BoolArray:
    """Elements that are smaller than the one before them in their group."""
    order = np.argsort(group, kind="stable")
    same = group[order][1:] == group[order][:-1]
    wrong = np.zeros(len(group), np.bool_)
    wrong[order[1:]] = same & (sequence[order][1:] < sequence[order][:-1])
    return wrong


def _check_predictions(faults: _Faults, predictions: Predictions, rows: IntArray) -> None:
    stream, known = faults.stream, rows >= 0
    other_id = predictions.event_id != stream.event_id[rows]
    with np.errstate(invalid="ignore"):
        other_score = ~(np.abs(predictions.score - stream.score[rows]) <= 1e-6)
    good = stream.reason[rows] == GOOD
    faults.of_outputs(Fault.WRONG_PREDICTION, "prediction", rows, known & good & (other_id | other_score))
    faults.of_outputs(Fault.WRONG_DEAD_LETTER, "prediction", rows, known & ~good)


def _check_dead_letters(faults: _Faults, letters: DeadLetters, rows: IntArray) -> None:
    stream, known = faults.stream, rows >= 0
    wrong = (letters.value != stream.value[rows]) | (letters.reason != stream.reason[rows])
    faults.of_outputs(Fault.WRONG_DEAD_LETTER, "dead letter", rows, known & wrong)


def _check_offsets(faults: _Faults, outputs: IntArray, group: GroupOffsets) -> None:
    stream = faults.stream
    partitions = np.unique(stream.partition).tolist()
    ends = {p: int(stream.offset[stream.partition == p].max()) + 1 for p in partitions}
    committed = {p: group.committed.get(p, 0) for p in partitions}
    limit = np.array([committed.get(p, 0) for p in range(max(partitions) + 1)])[stream.partition]
    faults.of_events(Fault.TORN, (stream.offset < limit) & (outputs == 0), ": committed without an output")
    faults.of_events(Fault.TORN, (stream.offset >= limit) & (outputs > 0), ": an output, but not committed")
    beyond = [f"partition {p}: {committed[p]} committed, its end is {end}" for p, end in ends.items()]
    faults.add(Fault.TORN, [beyond[i] for i, (p, end) in enumerate(ends.items()) if committed[p] > end])
    behind = [p for p, end in ends.items() if committed[p] < end]
    faults.add(Fault.LAG_LEFT, [f"partition {p}: {committed[p]} of {ends[p]} committed" for p in behind])
    faults.add(Fault.OFFSET_REGRESSION, list(_regressions(group)))


def _regressions(group: GroupOffsets) -> Iterator[str]:
    last: dict[int, int] = {}
    samples: list[Mapping[int, Any]] = [*group.samples, group.committed]
    for sample in samples:
        for partition, offset in sample.items():
            if offset < last.get(partition, 0):
                yield f"partition {partition}: {last[partition]} committed, then {offset}"
            last[partition] = offset
