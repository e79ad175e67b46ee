"""The checker itself: it passes a sound run, and names every kind of fault in one that is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.chaos.checker import DeadLetters, Fault, GroupOffsets, Predictions, Verdict, check
from tests.chaos.stream import GOOD, Stream, make_stream
from worker.records import IntArray

PARTITIONS = 3
STREAM = make_stream(600, partitions=PARTITIONS, seed=7, bad_ratio=0.1)


@dataclasses.dataclass(slots=True)
class Topics:
    """What a run left behind; each test spoils one thing of a sound one."""

    predictions: Predictions
    dead_letters: DeadLetters
    committed: dict[int, int]
    samples: list[dict[int, int]] = dataclasses.field(default_factory=list)
    hung: tuple[str, ...] = ()

    def verdict(self, stream: Stream = STREAM) -> Verdict:
        return check(stream, self.predictions, self.dead_letters, GroupOffsets(self.committed, self.samples), self.hung)


def sound() -> Topics:
    rows = np.lexsort((STREAM.offset, STREAM.partition))
    good = rows[STREAM.reason[rows] == GOOD]
    bad = rows[STREAM.reason[rows] != GOOD]
    return Topics(
        Predictions(*_places(good), STREAM.key[good], STREAM.event_id[good], STREAM.score[good]),
        DeadLetters(*_places(bad), STREAM.key[bad], STREAM.value[bad], STREAM.reason[bad]),
        {p: int((STREAM.partition == p).sum()) for p in range(PARTITIONS)},
    )


def _places(rows: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    return STREAM.partition[rows], STREAM.partition[rows], STREAM.offset[rows]


def _taken(records: Any, rows: Any) -> Any:
    """The records in another selection or order."""
    return type(records)(*(getattr(records, field.name)[rows] for field in dataclasses.fields(records)))


def _altered(records: Any, name: str, row: int, value: Any) -> Any:
    column = getattr(records, name).copy()
    column[row] = value
    return dataclasses.replace(records, **{name: column})


def _without_a_prediction(topics: Topics) -> None:
    topics.predictions = _taken(topics.predictions, np.delete(np.arange(len(topics.predictions.partition)), 100))


def _without_a_dead_letter(topics: Topics) -> None:
    topics.dead_letters = _taken(topics.dead_letters, slice(1, None))


def _with_a_doubled_prediction(topics: Topics) -> None:
    topics.predictions = _taken(topics.predictions, np.insert(np.arange(len(topics.predictions.partition)), 7, 6))


def _with_a_doubled_dead_letter(topics: Topics) -> None:
    topics.dead_letters = _taken(topics.dead_letters, np.insert(np.arange(len(topics.dead_letters.partition)), 7, 6))


def _with_an_output_of_nothing(topics: Topics) -> None:
    topics.predictions = _altered(
        _taken(topics.predictions, np.insert(np.arange(len(topics.predictions.partition)), 0, 0)),
        "source_offset",
        0,
        10_000,
    )


def _with_two_predictions_exchanged(topics: Topics) -> None:
    order = np.arange(len(topics.predictions.partition))
    order[[10, 11]] = order[[11, 10]]
    topics.predictions = _taken(topics.predictions, order)


def _with_two_predictions_of_a_key_exchanged(topics: Topics) -> None:
    keys = topics.predictions.key
    other = next(i for i in range(1, len(keys)) if keys[i] == keys[0])
    order = np.arange(len(keys))
    order[[0, other]] = order[[other, 0]]
    topics.predictions = _taken(topics.predictions, order)


def _with_a_prediction_elsewhere(topics: Topics) -> None:
    topics.predictions = _altered(topics.predictions, "partition", -1, 0)


def _with_another_key(topics: Topics) -> None:
    topics.predictions = _altered(topics.predictions, "key", 5, b"another")


def _without_a_key(topics: Topics) -> None:
    topics.dead_letters = _altered(topics.dead_letters, "key", 5, None)


def _with_another_id(topics: Topics) -> None:
    topics.predictions = _altered(topics.predictions, "event_id", 5, "another")


def _with_another_score(topics: Topics) -> None:
    topics.predictions = _altered(topics.predictions, "score", 5, 0.5)


def _with_nan_for_a_score(topics: Topics) -> None:
    topics.predictions = _altered(topics.predictions, "score", 5, np.nan)


def _with_a_good_record_refused(topics: Topics) -> None:
    row = int(np.flatnonzero(STREAM.event_id == topics.predictions.event_id[0])[0])
    letters, predictions = topics.dead_letters, topics.predictions
    topics.dead_letters = DeadLetters(
        np.insert(letters.partition, 0, STREAM.partition[row]),
        np.insert(letters.source_partition, 0, STREAM.partition[row]),
        np.insert(letters.source_offset, 0, STREAM.offset[row]),
        np.insert(letters.key, 0, STREAM.key[row]),
        np.insert(letters.value, 0, STREAM.value[row]),
        np.insert(letters.reason, 0, "malformed"),
    )
    topics.predictions = _taken(predictions, slice(1, None))


def _with_a_bad_record_predicted(topics: Topics) -> None:
    row = int(np.flatnonzero((STREAM.reason != GOOD) & (STREAM.partition == 0))[0])
    at = int(np.searchsorted(topics.predictions.source_offset[topics.predictions.partition == 0], STREAM.offset[row]))
    predictions = topics.predictions
    topics.predictions = Predictions(
        np.insert(predictions.partition, at, 0),
        np.insert(predictions.source_partition, at, 0),
        np.insert(predictions.source_offset, at, STREAM.offset[row]),
        np.insert(predictions.key, at, STREAM.key[row]),
        np.insert(predictions.event_id, at, STREAM.event_id[row]),
        np.insert(predictions.score, at, 1.0),
    )
    letters = topics.dead_letters
    same = (letters.source_partition == 0) & (letters.source_offset == STREAM.offset[row])
    topics.dead_letters = _taken(letters, ~same)


def _with_other_bytes_in_a_dead_letter(topics: Topics) -> None:
    topics.dead_letters = _altered(topics.dead_letters, "value", 0, b"shortened")


def _with_another_reason(topics: Topics) -> None:
    topics.dead_letters = _altered(topics.dead_letters, "reason", 0, "too_large")


def _with_an_offset_ahead_of_its_outputs(topics: Topics) -> None:
    topics.predictions = _taken(topics.predictions, slice(0, -1))


def _with_outputs_ahead_of_their_offset(topics: Topics) -> None:
    topics.committed[1] -= 1


def _with_an_offset_beyond_the_end(topics: Topics) -> None:
    topics.committed[1] += 1


def _with_nothing_committed(topics: Topics) -> None:
    topics.committed.clear()


def _with_an_offset_that_went_back(topics: Topics) -> None:
    topics.samples = [{0: 10, 1: 5}, {0: 9, 1: 5}]


def _with_an_offset_that_ended_lower(topics: Topics) -> None:
    topics.samples = [{2: topics.committed[2] + 1}]


def _with_a_hanging_transaction(topics: Topics) -> None:
    topics.hung = ("predictions",)


SPOILED: list[tuple[Callable[[Topics], None], set[Fault]]] = [
    (_without_a_prediction, {Fault.LOST, Fault.TORN}),
    (_without_a_dead_letter, {Fault.LOST, Fault.TORN}),
    (_with_a_doubled_prediction, {Fault.DUPLICATE}),
    (_with_a_doubled_dead_letter, {Fault.DUPLICATE}),
    (_with_an_output_of_nothing, {Fault.PHANTOM}),
    (_with_two_predictions_exchanged, {Fault.MISORDERED_PARTITION}),
    (_with_two_predictions_of_a_key_exchanged, {Fault.MISORDERED_PARTITION, Fault.MISORDERED_KEY}),
    (_with_a_prediction_elsewhere, {Fault.WRONG_PARTITION}),
    (_with_another_key, {Fault.WRONG_KEY}),
    (_without_a_key, {Fault.WRONG_KEY}),
    (_with_another_id, {Fault.WRONG_PREDICTION}),
    (_with_another_score, {Fault.WRONG_PREDICTION}),
    (_with_nan_for_a_score, {Fault.WRONG_PREDICTION}),
    (_with_a_good_record_refused, {Fault.WRONG_DEAD_LETTER}),
    (_with_a_bad_record_predicted, {Fault.WRONG_DEAD_LETTER}),
    (_with_other_bytes_in_a_dead_letter, {Fault.WRONG_DEAD_LETTER}),
    (_with_another_reason, {Fault.WRONG_DEAD_LETTER}),
    (_with_an_offset_ahead_of_its_outputs, {Fault.LOST, Fault.TORN}),
    (_with_outputs_ahead_of_their_offset, {Fault.TORN, Fault.LAG_LEFT}),
    (_with_an_offset_beyond_the_end, {Fault.TORN}),
    (_with_nothing_committed, {Fault.TORN, Fault.LAG_LEFT}),
    (_with_an_offset_that_went_back, {Fault.OFFSET_REGRESSION}),
    (_with_an_offset_that_ended_lower, {Fault.OFFSET_REGRESSION}),
    (_with_a_hanging_transaction, {Fault.HUNG_TRANSACTION}),
]


def test_a_sound_run_passes_in_both_modes() -> None:
    """Where every event has come to exactly what it must, nothing is found."""
    verdict = sound().verdict()
    assert not verdict.findings, verdict.text()
    assert verdict.dead_letters > 20
    verdict.assert_sound("exactly-once")
    verdict.assert_sound("at-least-once")


@pytest.mark.parametrize(("spoil", "faults"), SPOILED, ids=lambda value: getattr(value, "__name__", ""))
def test_every_fault_is_named(spoil: Callable[[Topics], None], faults: set[Fault]) -> None:
    """A run with one thing wrong is told by that fault's name, with an example, and is not sound."""
    topics = sound()
    spoil(topics)
    verdict = topics.verdict()
    assert verdict.faults == faults, verdict.text()
    assert all(finding.count >= 1 and finding.examples for finding in verdict.findings.values())
    with pytest.raises(AssertionError):
        verdict.assert_sound("exactly-once")


def test_every_fault_is_tried() -> None:
    """No name is in the list of faults that no spoiled run has shown to be found."""
    assert {fault for _, faults in SPOILED for fault in faults} == set(Fault)


def test_at_least_once_allows_duplicates_and_nothing_else() -> None:
    """A doubled prediction is sound at least once; a lost one is not."""
    doubled, lost = sound(), sound()
    _with_a_doubled_prediction(doubled)
    _without_a_prediction(lost)
    doubled.verdict().assert_sound("at-least-once")
    with pytest.raises(AssertionError, match="lost: 1"):
        lost.verdict().assert_sound("at-least-once")


def test_a_replayed_stretch_is_doubled_but_in_order() -> None:
    """What a crash in at-least-once mode repeats is not called misordered: order is that of the first outputs."""
    topics = sound()
    rows = np.arange(len(topics.predictions.partition))
    topics.predictions = _taken(topics.predictions, np.concatenate((rows[:50], rows[20:])))
    assert topics.verdict().faults == {Fault.DUPLICATE}


def test_an_empty_run_proves_nothing() -> None:
    """A campaign that produced no event is not called sound."""
    with pytest.raises(AssertionError, match="nothing was produced"):
        Verdict(0, 0, 0, {}).assert_sound("exactly-once")


def test_a_worker_that_did_nothing_is_found() -> None:
    """With empty outputs every event is lost, and all the lag is left."""
    topics = sound()
    topics.predictions = _taken(topics.predictions, slice(0, 0))
    topics.dead_letters = _taken(topics.dead_letters, slice(0, 0))
    topics.committed = {}
    verdict = topics.verdict()
    assert verdict.count(Fault.LOST) == len(STREAM)
    assert verdict.faults == {Fault.LOST, Fault.LAG_LEFT}


def test_the_stream_is_what_it_says() -> None:
    """Offsets are dense in each partition, sequences in each key, and every kind of bad record is there."""
    for partition in range(PARTITIONS):
        offsets = STREAM.offset[STREAM.partition == partition]
        assert offsets.tolist() == list(range(len(offsets)))
    for key in set(STREAM.key.tolist()):
        sequence = STREAM.key_sequence[STREAM.key == key]
        assert sequence.tolist() == list(range(len(sequence)))
        assert len(set(STREAM.partition[STREAM.key == key].tolist())) == 1
    assert len(set(STREAM.reason.tolist())) == 6
