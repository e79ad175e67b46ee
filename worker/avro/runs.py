"""Doubles that stand side by side, read at once where records are read one by one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from worker.avro.faults import Fault, Refused
from worker.avro.nodes import Primitive
from worker.avro.resolution import Read, Step

# Reads at a position of a record's body into the list of slots, and says where the next step reads.
Reader = Callable[[bytes, int, list[Any]], int]
_SHORTEST_RUN = 2
_NOWHERE = -(2**31)


def with_runs(steps: Sequence[Step], single: Sequence[Reader]) -> list[Reader]:
    """The readers of the steps; one for neighbours of a fixed width whose slots are neighbours, too."""
    readers: list[Reader] = []
    at = 0
    while at < len(steps):
        end = at
        while end < len(steps) and _slot_of_double(steps[end]) == _slot_of_double(steps[at]) + end - at >= 0:
            end += 1
        if end - at < _SHORTEST_RUN:
            readers.append(single[at])
            at += 1
            continue
        readers.append(_doubles(steps[at:end], single[at:end]))
        at = end
    return readers


def _slot_of_double(step: Step) -> int:
    """The slot that a double goes to; for what is no double, or goes nowhere, far below any slot."""
    if isinstance(step, Read) and step.slot is not None and step.wire == Primitive("double"):
        return step.slot.index
    return _NOWHERE


def _doubles(steps: Sequence[Step], single: Sequence[Reader]) -> Reader:
    unpack, width = struct.Struct(f"<{len(steps)}d").unpack_from, 8 * len(steps)
    first = _slot_of_double(steps[0])
    slots = slice(first, first + len(steps))

    def read(body: bytes, at: int, out: list[Any]) -> int:
        if at + width <= len(body):
            out[slots] = unpack(body, at)
            return at + width
        for step, reader in zip(steps, single, strict=True):  # one of them is cut
            try:
                at = reader(body, at, out)
            except struct.error:
                raise Refused(Fault.TRUNCATED, getattr(step, "field", "")) from None
        return at

    return read
