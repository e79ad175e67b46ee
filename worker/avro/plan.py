"""A program compiled for lanes: one operation a field, a few numpy calls each, whatever the number of records.

An operation that can't read a lane plainly (a ragged vector of integers, a long array, a branch of two bytes) doubts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Protocol

import numpy as np
import numpy.typing as npt

from worker.avro.cells import Out, blank_cells, patch
from worker.avro.fallback import is_text
from worker.avro.lanes import Lanes
from worker.avro.nodes import Enum, Fixed, Primitive
from worker.avro.plan_items import FloatVectors, IntegerVectors, SkipItems
from worker.avro.plan_numbers import Booleans, Doubted, Integers, Null, NullableFloats, Run, Symbols, float_width
from worker.avro.plan_text import Decimals, Texts
from worker.avro.resolution import Choice, Inline, Items, Mismatch, Read, ReadNull, Step, flat
from worker.avro.slots import Form, Slot

LONGEST_NUMBER = 10
MOST_TOGETHER = 16
"""Fields gathered as one block: it must stay in the cache, and within the buffer's padding."""
WIDEST_RUN = 8 * MOST_TOGETHER


class Operation(Protocol):
    def run(self, lanes: Lanes, out: Out) -> None:
        """Read one value of every lane (there is at least one) into the slots that it fills."""


def compile_steps(steps: Sequence[Step]) -> list[Operation]:
    return [operation for operation, _ in grouped(steps)]


def grouped(steps: Sequence[Step]) -> list[tuple[Operation, int]]:
    """Operations, and how many of the ``flat`` steps each of them does."""
    return [
        (_together(group) if alike else compile_step(group[0]), len(group))
        for alike, run in groupby(flat(steps), _alike)
        for group in _chunks(list(run), MOST_TOGETHER if alike else 1)
    ]


def _chunks(steps: list[Step], size: int) -> Iterator[list[Step]]:
    for i in range(0, len(steps), size):
        yield steps[i : i + size]


def _alike(step: Step) -> tuple[int, int] | None:
    """What neighbours must share to be read together: (0, 0) for floats and doubles, width and order for nullable ones."""
    if isinstance(step, Read):
        return (0, 0) if float_width(step) else None
    if not isinstance(step, Choice) or len(step.branches) != 2:
        return None
    nulls = [i for i, branch in enumerate(step.branches) if isinstance(branch, ReadNull)]
    other = step.branches[1 - nulls[0]] if len(nulls) == 1 else None
    if isinstance(other, Read) and float_width(other) and other.slot is not None:
        return float_width(other), nulls[0]
    return None


def _together(steps: Sequence[Step]) -> Operation:
    reads = [step for step in steps if isinstance(step, Read)]
    if reads:
        return Run(reads)
    width, null_branch = _alike(steps[0]) or (8, 0)
    slots = [slot for step in steps for slot in slots_of(step).values()]
    return NullableFloats(slots, width, null_branch)


def compile_step(step: Step) -> Operation:
    match step:
        case Inline():
            return _Sequence(compile_steps(step.steps))
        case Read():
            return _scalar(step)
        case ReadNull():
            return Null(step.slot)
        case Mismatch():
            return Doubted()
        case Choice():
            return _Choice([compile_step(branch) for branch in step.branches], slots_of(step))
        case _:
            return _items(step)


def slots_of(step: Step) -> dict[int, Slot]:
    """The slots that a step may fill."""
    if isinstance(step, Choice | Inline):
        inner = step.branches if isinstance(step, Choice) else step.steps
        return {index: slot for child in inner for index, slot in slots_of(child).items()}
    slot = getattr(step, "slot", None)
    return {} if slot is None else {slot.index: slot}


def reach(step: Step) -> int:
    """The most bytes that a cursor moves over in a step, beyond what is clamped."""
    if isinstance(step, Choice | Inline):
        inner = step.branches if isinstance(step, Choice) else step.steps
        return LONGEST_NUMBER + sum(reach(child) for child in inner)
    return 2 * LONGEST_NUMBER + (reach(step.item) if isinstance(step, Items) else 0)


def _scalar(step: Read) -> Operation:
    wire, slot = step.wire, step.slot
    if isinstance(wire, Enum):
        return Symbols(len(wire.symbols), step.symbols, slot)
    if isinstance(wire, Fixed) or wire.kind in ("string", "bytes"):
        size = wire.size if isinstance(wire, Fixed) else None
        if slot is not None and slot.form is Form.DECIMAL:
            return Decimals(slot, size)
        return Texts(slot, size, must_be_utf8=is_text(step))
    if wire.kind == "boolean":
        return Booleans(slot)
    return Run([step]) if float_width(step) else Integers(slot, narrow=wire.kind == "int")


def _items(step: Items) -> Operation:
    item = step.item
    if step.slot is None:
        # Rounds within rounds would multiply: arrays of arrays are the record reader's.
        return SkipItems(Doubted() if _holds_items(item) else compile_step(item), is_map=step.is_map)
    if isinstance(item, Read) and isinstance(item.wire, Primitive):
        return (FloatVectors if float_width(item) else IntegerVectors)(step.slot, item.wire.kind)
    return Doubted()


def _holds_items(step: Step) -> bool:
    if isinstance(step, Choice | Inline):
        return any(map(_holds_items, step.branches if isinstance(step, Choice) else step.steps))
    return isinstance(step, Items)


class _Choice:
    """Any union: each branch's lanes apart, put together again."""

    def __init__(self, branches: Sequence[Operation], slots: dict[int, Slot]) -> None:
        self._branches, self._slots = branches, slots
        self._wrong = np.ones(256, np.uint8)
        self._wrong[[2 * i for i in range(min(len(branches), 64))]] = 0

    def run(self, lanes: Lanes, out: Out) -> None:
        branch = lanes.octet()
        lanes.doubt |= self._wrong.take(branch)
        lanes.cursor = lanes.cursor + 1
        mixed: Out = [None] * len(out)
        for index, slot in self._slots.items():
            mixed[index] = blank_cells(slot, len(lanes))
        for i, operation in enumerate(self._branches[:64]):
            rows = np.flatnonzero(branch == 2 * i)
            if len(rows) == len(lanes):
                operation.run(lanes, out)
                return
            if len(rows):
                self._read(operation, lanes, rows, mixed)
        for index in self._slots:
            out[index] = mixed[index]

    def _read(self, operation: Operation, lanes: Lanes, rows: npt.NDArray[np.int64], mixed: Out) -> None:
        part = lanes.subset(rows)
        found: Out = [None] * len(mixed)
        operation.run(part, found)
        lanes.absorb(rows, part)
        for index, slot in self._slots.items():
            whole, piece = mixed[index], found[index]
            if whole is not None and piece is not None:
                patch(slot, whole, rows, piece)


class _Sequence:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    def run(self, lanes: Lanes, out: Out) -> None:
        for operation in self._operations:
            operation.run(lanes, out)
