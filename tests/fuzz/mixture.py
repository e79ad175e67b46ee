"""The stream of the campaign: sound events and mutated ones mixed, and what must become of each, known beforehand.

The event is the benchmark's: 23 fields. What is predicted for a record that must be predicted is asked of the bundle
directly, on the values that fastavro reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bench.events import STANDARD, draw, encode, keys
from tests.chaos.checker import ObjectArray
from tests.chaos.stream import Stream, running_count
from tests.fuzz.damage import EVENT_ID, FAMILIES, OTHER_ID, confluent, mutated
from tests.fuzz.oracle import PREDICTED, Oracle, Ruling
from worker.avro.framing import SINGLE_OBJECT_BYTES
from worker.columns import Columns, NumberColumn
from worker.models import BundlePredictor, open_bundle
from worker.records import BoolArray, FloatArray

PARTITIONS = 4
MUTATED_SHARE = 0.6
SOUND = "sound"
CONFLUENT_SHARE = 0.2
# By chance a record's key is its customer's, or one that is easily mistaken for another or for none.
ODD_KEYS = (None, b"", b"\x00", b"\xff\xfe", b"k" * 1_000)
ODD_KEY_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Mixture:
    """n records; ``stream.reason`` is the stage that must refuse each, empty for those that must be predicted.

    ``family`` is what was done to each, ``or_decode`` says which may be refused by decoding all the same.
    """

    stream: Stream
    family: ObjectArray
    or_decode: BoolArray

    @property
    def mutated(self) -> int:
        return int((self.family != SOUND).sum())


def make_mixture(count: int, *, seed: int, bundle: Path) -> Mixture:
    """``count`` mutated records among two thirds as many sound ones; all follows from the seed."""
    random, total = Random(seed), round(count / MUTATED_SHARE)
    events = draw(STANDARD, 0, total)
    sound = [value or b"" for value in encode(STANDARD, events).to_list()]
    family = _families(random, total, count)
    prefix = sound[0][:SINGLE_OBJECT_BYTES]
    oracle = Oracle.of(STANDARD.schema, {prefix: True, confluent(EVENT_ID): True, confluent(OTHER_ID): False})
    values = [_value(random, one, kind, random.choice(sound)) for one, kind in zip(sound, family, strict=True)]
    rulings = [oracle.ruling(value) for value in values]
    partition = np.array(random.choices(range(PARTITIONS), k=total), np.int64)
    offset = running_count(partition)
    stream = Stream(
        partition=partition,
        offset=offset,
        key=_objects([random.choice(ODD_KEYS) if random.random() < ODD_KEY_SHARE else key for key in keys(events)]),
        key_sequence=offset,
        event_id=_objects([ruling.fields["id"] if ruling.fields else "" for ruling in rulings]),
        value=_objects(values),
        reason=_objects([ruling.stage for ruling in rulings]),
        score=expected_scores(rulings, bundle),
    )
    return Mixture(stream, _objects(family), np.array([ruling.or_decode for ruling in rulings], np.bool_))


def expected_scores(rulings: list[Ruling], bundle: Path) -> FloatArray:
    """float64 (n,), NaN where nothing is predicted."""
    rows = [row for row, ruling in enumerate(rulings) if ruling.stage == PREDICTED]
    scores = np.full(len(rulings), np.nan)
    table: dict[str, NumberColumn] = {}
    for name in STANDARD.features:
        fields = [ruling.fields[name] for row in rows if (ruling := rulings[row]).fields is not None]
        null = np.array([value is None for value in fields], np.bool_)
        table[name] = NumberColumn(np.array([value or 0.0 for value in fields], np.float64), null)
    predictor = BundlePredictor(open_bundle(bundle))
    predictor.check_golden()
    scores[rows] = predictor.predict(Columns(dict(table), len(rows))).score
    return scores


def _families(random: Random, total: int, mutated_count: int) -> list[str]:
    names = [SOUND] * (total - mutated_count) + random.choices(list(FAMILIES), k=mutated_count)
    random.shuffle(names)
    return names


def _value(random: Random, sound: bytes, family: str, other: bytes) -> bytes | None:
    if family != SOUND:
        return mutated(random, family, sound, other)
    return confluent(EVENT_ID) + sound[SINGLE_OBJECT_BYTES:] if random.random() < CONFLUENT_SHARE else sound


def _objects(items: list[Any]) -> ObjectArray:
    array = np.empty(len(items), object)
    array[:] = items
    return array
