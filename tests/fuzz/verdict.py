"""What the worker made of a mixture against what it must have made. Pure; empty: nothing is wrong.

The checker of the chaos tests finds lost, doubled, misplaced and exchanged records; here every score must have the
expected bits as well, and every dead letter the stage that the oracle names and a reason of those that there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tests.chaos.checker import EXAMPLES, DeadLetters, GroupOffsets, ObjectArray, Predictions, Verdict, check
from tests.chaos.reading import Outputs, to_dead_letters, to_predictions
from tests.chaos.stream import Stream
from tests.fuzz.mixture import SOUND, Mixture
from tests.fuzz.oracle import PREDICTED
from worker.records import IntArray, Reason, Record

DECODE = "decode"
OTHER_BITS = "the score has other bits"
NO_REASON = "a dead letter without a reason"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """``wrong`` holds a line for every kind of fault, with examples."""

    verdict: Verdict
    accepted_mutants: int
    wrong: tuple[str, ...]


def judged(mixture: Mixture, found: Outputs, offsets: GroupOffsets) -> Finding:
    """``mixture``: what was produced, the records of each partition at the offsets of an empty topic."""
    predictions = to_predictions(found.predictions)
    letters = dataclasses.replace(to_dead_letters(found.letters), reason=_stages(found.letters))
    stream = _settled(mixture, letters)
    verdict = check(stream, predictions, letters, offsets, found.hung)
    wrong = [*verdict.text().splitlines()[1:], *_other_bits(stream, predictions), *_unexplained(found.letters)]
    accepted = int(((mixture.family != SOUND) & (stream.reason == PREDICTED)).sum())
    return Finding(verdict, accepted, tuple(line.strip() for line in wrong))


def _settled(mixture: Mixture, letters: DeadLetters) -> Stream:
    """With the stage of decoding for those records that it may refuse and has refused."""
    stream, reason = mixture.stream, mixture.stream.reason.copy()
    rows = _rows(stream, letters.source_partition, letters.source_offset)
    refused = rows[(rows >= 0) & (letters.reason == DECODE)]
    reason[refused[mixture.or_decode[refused]]] = DECODE
    return dataclasses.replace(stream, reason=reason)


def _other_bits(stream: Stream, predictions: Predictions) -> list[str]:
    rows = _rows(stream, predictions.source_partition, predictions.source_offset)
    other = (rows >= 0) & (predictions.score.view(np.int64) != stream.score[rows].view(np.int64))
    return _line(OTHER_BITS, np.flatnonzero(other), predictions.event_id)


def _unexplained(letters: Sequence[Record]) -> list[str]:
    headers = [dict(letter.headers) for letter in letters]
    known = {reason.value.encode() for reason in Reason}
    wrong = [h.get("reason") not in known or not h.get("__dlq.errors.message") for h in headers]
    places = np.array([f"{letter.partition}:{letter.offset}" for letter in letters], object)
    return _line(NO_REASON, np.flatnonzero(np.array(wrong, np.bool_)), places)


def _line(fault: str, at: IntArray, names: ObjectArray) -> list[str]:
    return [f"{fault}: {len(at)}, such as {'; '.join(names[at[:EXAMPLES]].tolist())}"] if len(at) else []


def _rows(stream: Stream, partition: IntArray, offset: IntArray) -> IntArray:
    """The row of the stream for each place, -1 where there is none."""
    at = {place: row for row, place in enumerate(zip(stream.partition.tolist(), stream.offset.tolist(), strict=True))}
    places = zip(partition.tolist(), offset.tolist(), strict=True)
    return np.array([at.get(place, -1) for place in places], np.int64)


def _stages(letters: Sequence[Record]) -> ObjectArray:
    stages = np.empty(len(letters), object)
    stages[:] = [(dict(letter.headers).get("stage") or b"").decode() for letter in letters]
    return stages
