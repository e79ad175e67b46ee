"""A synthetic stream of wide events: its schema, its rows as columns, and their Avro bytes, written by columns.

The standard event has 23 fields: three strings (the id first), two strings of few values, a timestamp, fourteen
doubles of which half are nullable, three ints. Other widths keep the proportions. Everything follows from the seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastavro.schema import fingerprint, to_parsing_canonical_form

from worker.avro.framing import SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER
from worker.avro.rows import LONGEST_VARINT, WORD, ByteRows
from worker.records import BoolArray, FloatArray, IntArray, Slices

NULL_SHARE = 0.1
ID_DIGITS = 12
TEXT_DIGITS = 7
FIRST_TIME_MS = 1_700_000_000_000
CUSTOMERS = 50_000
CHOICES = (("web", "app", "branch", "telephone"), ("EUR", "USD", "GBP", "JPY", "CHF"))
INT_MAXIMUM = 10_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How many fields of each type an event has, beside its time; ``nullable`` doubles come after the plain ones."""

    texts: int
    choices: int
    plain: int
    nullable: int
    ints: int

    @staticmethod
    def of(fields: int) -> Shape:
        """So many fields in all, 5 at least."""
        texts, choices, ints = (max(1, round(fields * share / 23)) for share in (3, 2, 3))
        doubles = fields - 1 - texts - choices - ints
        return Shape(texts, choices, doubles - doubles // 2, doubles // 2, ints)

    @property
    def fields(self) -> int:
        return 1 + self.texts + self.choices + self.plain + self.nullable + self.ints

    @property
    def features(self) -> tuple[str, ...]:
        """What the models see: every number, in the schema's order."""
        names = (("amount", self.plain), ("measure", self.nullable), ("count", self.ints))
        return tuple(f"{name}_{k}" for name, number in names for k in range(number))

    @property
    def schema(self) -> str:
        """The text of the ``.avsc``, constraints included."""
        texts = [_field(_text_name(k), "string", minLength=4, maxLength=64) for k in range(self.texts)]
        choices = [_field(f"choice_{k}", "string", enum=list(_choices(k))) for k in range(self.choices)]
        time = _field("at", {"type": "long", "logicalType": "timestamp-millis"})
        plain = [_field(f"amount_{k}", "double", minimum=-50, maximum=50) for k in range(self.plain)]
        nullable = [
            _field(f"measure_{k}", ["null", "double"], default=None, nullPolicy="nan", minimum=-50, maximum=50)
            for k in range(self.nullable)
        ]
        ints = [_field(f"count_{k}", "int", minimum=0, maximum=INT_MAXIMUM) for k in range(self.ints)]
        fields = [*texts, *choices, time, *plain, *nullable, *ints]
        return json.dumps({"type": "record", "name": f"Event{self.fields}", "namespace": "bench", "fields": fields})


STANDARD = Shape(texts=3, choices=2, plain=7, nullable=7, ints=3)


@dataclass(frozen=True, slots=True)
class Events:
    """n rows as columns. ``matrix`` is float64 (n, features), NaN for null; ``customers`` and ``choices`` int64 (n, k).

    ``first`` is the number of the first one; an event's id is its number, so what comes of it can be told from it.
    """

    first: int
    matrix: FloatArray
    customers: IntArray
    choices: IntArray

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def labels(self) -> IntArray:
        """What the models learn: a noisy linear rule on the first features, about half of each class; int64 (n,)."""
        weights = 1 / np.arange(1, self.matrix.shape[1] + 1)[:5]
        total: FloatArray = np.nan_to_num(self.matrix[:, :5]) @ weights
        noise = np.random.default_rng(self.first + 1).normal(0, 1, len(self))
        return np.asarray(total + noise > total.mean(), np.int64)


def draw(shape: Shape, first: int, count: int) -> Events:
    """The events number ``first`` and so on; the same for the same arguments."""
    chance = np.random.default_rng([first, count, shape.fields])
    doubles = chance.normal(0, 5, (count, shape.plain + shape.nullable)).clip(-50, 50)
    doubles[:, shape.plain :][chance.random((count, shape.nullable)) < NULL_SHARE] = np.nan
    ints = chance.integers(0, INT_MAXIMUM, (count, shape.ints))
    return Events(
        first=first,
        matrix=np.hstack([doubles, ints]),
        customers=chance.integers(0, CUSTOMERS, (count, max(1, shape.texts - 1))),
        choices=np.column_stack([chance.integers(0, len(_choices(k)), count) for k in range(shape.choices)]),
    )


def encode(shape: Shape, events: Events) -> Slices:
    """The values of the records: single-object framing and body."""
    schema = json.loads(shape.schema)
    out = _Rows(len(events), _longest(shape))
    out.constant(SINGLE_OBJECT_MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")))
    numbers = np.arange(events.first, events.first + len(events), dtype=np.int64)
    out.text(_numbered(b"event-", numbers, ID_DIGITS))
    for k in range(shape.texts - 1):
        out.text(_numbered(b"customer-", events.customers[:, k], TEXT_DIGITS))
    for k in range(shape.choices):
        out.choice([bytes([2 * len(word)]) + word.encode() for word in _choices(k)], events.choices[:, k])
    out.long(FIRST_TIME_MS + numbers)
    for k in range(shape.plain):
        out.double(events.matrix[:, k])
    for k in range(shape.plain, shape.plain + shape.nullable):
        out.nullable_double(events.matrix[:, k])
    for k in range(shape.plain + shape.nullable, len(shape.features)):
        out.long(events.matrix[:, k].astype(np.int64))
    return out.slices()


def keys(events: Events) -> list[bytes]:
    """The records' keys: the customer."""
    return [b"customer-%07d" % customer for customer in events.customers[:, 0].tolist()]


def numbers_of(values: Sequence[bytes]) -> list[int]:
    """The numbers of the events, from events or from predictions: both begin with a frame and the id."""
    start = SINGLE_OBJECT_BYTES + 1 + len(b"event-")
    return [int(value[start : start + ID_DIGITS]) for value in values]


class _Rows(ByteRows):
    def nullable_double(self, values: FloatArray) -> None:
        """A union of null and double, in this order; NaN stands for null."""
        null: BoolArray = np.isnan(values)
        self.choice((b"\x02", b"\x00"), null.astype(np.int64))
        present = np.flatnonzero(~null)
        self._words[self._at[present]] = values[present].view(np.uint64)
        self._at[present] += WORD


def _numbered(prefix: bytes, numbers: IntArray, digits: int) -> Slices:
    """``prefix`` and the number with leading zeros, for all rows at once."""
    width = len(prefix) + digits
    table = np.empty((len(numbers), width), np.uint8)
    table[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    rest = numbers.copy()
    for k in range(width - 1, len(prefix) - 1, -1):
        table[:, k] = rest % 10 + ord("0")
        rest //= 10
    start = np.arange(len(numbers), dtype=np.int64) * width
    return Slices(table.tobytes() + bytes(WORD), start, start + width)


def _longest(shape: Shape) -> int:
    texts = shape.texts * (LONGEST_VARINT + 24) + shape.choices * 16
    return SINGLE_OBJECT_BYTES + texts + (1 + shape.ints) * LONGEST_VARINT + (shape.plain + shape.nullable) * (WORD + 1)


def _choices(k: int) -> tuple[str, ...]:
    return CHOICES[k % len(CHOICES)]


def _text_name(k: int) -> str:
    return "id" if k == 0 else f"customer_{k}"


def _field(name: str, kind: Any, **constraints: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **constraints}
