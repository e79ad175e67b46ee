"""One record at a time, strictly: the judge of every record that the lockstep reader doubts, and of small batches.

Compiled to nested functions, one a step: as fast as fastavro, and strict where fastavro is lax (a boolean of 2, an int of
40 bits, a union's branch -1, a number of 11 bytes, a block of the wrong size).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from worker.avro.blocks import block_of
from worker.avro.faults import Fault, Refused
from worker.avro.nodes import Enum, Fixed, Primitive
from worker.avro.resolution import Choice, Inline, Items, Mismatch, Program, Read, ReadNull, Step, flat
from worker.avro.runs import Reader, with_runs
from worker.avro.slots import Form, Slot, decimal_value

_FLOAT = struct.Struct("<f").unpack_from
_DOUBLE = struct.Struct("<d").unpack_from


class RecordReader:
    """Reads single records by one program, the steps of ``flat`` one after the other."""

    def __init__(self, program: Program) -> None:
        self._steps = _sequence(list(flat([program.root])), "")
        self._slots = len(program.slots)

    def read(self, body: bytes, at: int = 0, first: int = 0) -> list[Any]:
        """The slots' values, texts as places in ``body``, of the steps from the ``first`` on, which begins ``at``.

        Raises Refused.
        """
        out: list[Any] = [None] * self._slots
        at = self._steps(body, at, out, first)
        if at != len(body):
            raise Refused(Fault.TRAILING, "", len(body) - at)
        return out


def read_long(body: bytes, at: int, field: str) -> tuple[int, int]:
    """A zig-zag number and the position after it. Raises Refused, or IndexError at the body's end."""
    byte = body[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    number, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = body[at]
        if shift == 63 and byte > 1:
            raise Refused(Fault.LONG_VARINT, field)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + 1
        shift += 7


def _compiled(step: Step) -> Reader:
    match step:
        case Inline():
            return _inline(step, "")
        case Read():
            return _scalar(step)
        case ReadNull():
            return _null(step)
        case Choice():
            return _choice(step)
        case Items():
            return _items(step)
        case _:
            return _mismatch(step)


def _inline(step: Inline, field: str) -> Reader:
    return _sequence(step.steps, field)


def _sequence(steps: Sequence[Step], field: str) -> Callable[..., int]:
    """Steps one after the other, from the ``first`` on; a step without a field fails as ``field``."""
    single = [_compiled(step) for step in steps]
    readers = with_runs(steps, single)
    fields = {id(reader): getattr(step, "field", field) for reader, step in zip(single, steps, strict=True)}

    def read(body: bytes, at: int, out: list[Any], first: int = 0) -> int:
        reader = None
        try:
            for reader in single[first:] if first else readers:
                at = reader(body, at, out)
        except (IndexError, struct.error):
            raise Refused(Fault.TRUNCATED, fields[id(reader)]) from None
        return at

    return read


def _null(step: ReadNull) -> Reader:
    index = -1 if step.slot is None else step.slot.index

    def read(_body: bytes, at: int, out: list[Any]) -> int:
        if index >= 0:
            out[index] = None
        return at

    return read


def _mismatch(step: Mismatch) -> Reader:
    def read(_body: bytes, _at: int, _out: list[Any]) -> int:
        raise Refused(Fault.UNMATCHED, step.field)

    return read


def _choice(step: Choice) -> Reader:
    branches, field = [_compiled(branch) for branch in step.branches], step.field
    count = len(branches)

    def read(body: bytes, at: int, out: list[Any]) -> int:
        byte = body[at]
        if byte < 0x80 and not byte & 1:
            index, at = byte >> 1, at + 1
        else:
            index, at = read_long(body, at, field)
        if not 0 <= index < count:
            raise Refused(Fault.BRANCH, field)
        return branches[index](body, at, out)

    return read


def _items(step: Items) -> Reader:
    item, field = _compiled(step.item), step.field
    key = _text(Read(Primitive("string"), field, None)) if step.is_map else None
    slot = step.slot.index if step.slot else -1
    at_once = block_of(step.item) if step.slot else None

    def read(body: bytes, at: int, out: list[Any]) -> int:
        values: list[Any] = []
        while True:
            count, stop, at = _block(body, at, field)
            if count == 0:
                break
            if at_once is not None and (plain := at_once(body, at, count)) is not None:
                numbers, at = plain
                values += numbers
                count = 0
            for _ in range(count):
                if key is not None:
                    at = key(body, at, out)
                at = item(body, at, out)
                if slot >= 0:
                    values.append(out[slot])
            if stop not in (None, at):
                raise Refused(Fault.BLOCK, field)
        if slot >= 0:
            out[slot] = values
        return at

    return read


def _block(body: bytes, at: int, field: str) -> tuple[int, int | None, int]:
    """How many items follow, where they end if the block says so, and where they begin; 0 items: the end."""
    count, at = read_long(body, at, field)
    stop = None
    if count < 0:
        size, at = read_long(body, at, field)
        count, stop = -count, at + size
    # An item takes a byte at least: the gate sees to it.
    if count > len(body) - at:
        raise Refused(Fault.BLOCK, field)
    return count, stop, at


def _scalar(step: Read) -> Reader:
    wire = step.wire
    if isinstance(wire, Enum):
        return _enum(step, len(wire.symbols))
    if isinstance(wire, Fixed) or wire.kind in ("string", "bytes"):
        return _text(step)
    match wire.kind:
        case "boolean":
            return _boolean(step)
        case "int" | "long":
            return _integer(step, wire.kind)
        case "float":
            return _float(step, _FLOAT, 4)
        case _:
            return _float(step, _DOUBLE, 8)


def _boolean(step: Read) -> Reader:
    field, index = step.field, _index(step.slot)

    def read(body: bytes, at: int, out: list[Any]) -> int:
        byte = body[at]
        if byte > 1:
            raise Refused(Fault.BOOLEAN, field)
        if index >= 0:
            out[index] = byte == 1
        return at + 1

    return read


def _integer(step: Read, kind: str) -> Reader:
    field, index = step.field, _index(step.slot)
    bound = 2**31 if kind == "int" else 2**63
    check = step.slot.check if step.slot else None

    def read(body: bytes, at: int, out: list[Any]) -> int:
        number, at = read_long(body, at, field)
        if not -bound <= number < bound:
            raise Refused(Fault.INT_RANGE, field)
        if index >= 0:
            if check is not None and not check.number_fits(number):
                raise Refused(Fault.VALUE, field)
            out[index] = number
        return at

    return read


def _float(step: Read, unpack: Callable[[bytes, int], tuple[Any, ...]], width: int) -> Reader:
    index = _index(step.slot)

    def read(body: bytes, at: int, out: list[Any]) -> int:
        (number,) = unpack(body, at)
        if index >= 0:
            out[index] = number
        return at + width

    return read


def _enum(step: Read, count: int) -> Reader:
    field, index, symbols = step.field, _index(step.slot), step.symbols

    def read(body: bytes, at: int, out: list[Any]) -> int:
        symbol, at = read_long(body, at, field)
        if not 0 <= symbol < count:
            raise Refused(Fault.SYMBOL, field)
        if index >= 0:
            if symbols[symbol] < 0:
                raise Refused(Fault.UNKNOWN_SYMBOL, field)
            out[index] = symbols[symbol]
        return at

    return read


def _text(step: Read) -> Reader:
    field, slot, fixed = step.field, step.slot, step.wire.size if isinstance(step.wire, Fixed) else -1
    index = _index(slot)
    must_be_utf8 = is_text(step)
    check = slot.check if slot else None
    decimal = slot.logical if slot and slot.form is Form.DECIMAL else None

    def read(body: bytes, at: int, out: list[Any]) -> int:
        length = fixed
        if fixed < 0:
            length, at = read_long(body, at, field)
        stop = at + length
        if length < 0 or stop > len(body):
            raise Refused(Fault.LENGTH, field)
        if must_be_utf8:
            part = body[at:stop]
            if not part.isascii():
                _decode(part, field)
        if decimal is not None:
            if (number := decimal_value(body[at:stop], decimal)) is None:
                raise Refused(Fault.VALUE, field)
            out[index] = number
        elif index >= 0:
            if check is not None and not check.text_fits(body[at:stop]):
                raise Refused(Fault.VALUE, field)
            out[index] = (at, stop)
        return stop

    return read


def is_text(step: Read) -> bool:
    """Whether the bytes must be valid UTF-8: either side calls them a string."""
    written = isinstance(step.wire, Primitive) and step.wire.kind == "string"
    return written or (step.slot is not None and step.slot.is_string)


def _decode(part: bytes, field: str) -> None:
    try:
        part.decode()
    except UnicodeDecodeError:
        raise Refused(Fault.UTF8, field) from None


def _index(slot: Slot | None) -> int:
    return -1 if slot is None else slot.index
