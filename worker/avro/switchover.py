"""From how many rows on lockstep pays: measured, since it depends on the machine, numpy and the schema.

Lockstep costs much a batch and little a row, the record reader the other way round. Pure: the clock is handed in.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from worker.avro.lockstep import ColumnReader
from worker.avro.nodes import Enum, Fixed
from worker.avro.resolution import Choice, Inline, Items, Mismatch, Read, ReadNull, Step
from worker.records import Slices

FEW, MANY = 2, 64
ROUNDS = 3
MOST_SWITCH_ROWS: Final = 256


def measured_switch_rows(reader: ColumnReader, seconds: Callable[[], float]) -> int:
    """The batch size from which ``reader`` should read in lockstep, 1 to MOST_SWITCH_ROWS; takes a few milliseconds.

    ``seconds`` is a clock such as ``time.perf_counter``.
    """
    body = sample_body(reader.program.root)
    single = [_best(reader.read_by_record, body, rows, seconds) for rows in (FEW, MANY)]
    lockstep = [_best(reader.read_in_lockstep, body, rows, seconds) for rows in (FEW, MANY)]
    slope = ((single[1] - single[0]) - (lockstep[1] - lockstep[0])) / (MANY - FEW)
    if slope <= 0:
        return MOST_SWITCH_ROWS
    return max(1, min(MOST_SWITCH_ROWS, round(FEW + (lockstep[0] - single[0]) / slope)))


def _best(read: Callable[..., object], body: bytes, rows: int, seconds: Callable[[], float]) -> float:
    batch = Slices.of([body] * rows)
    rounds: list[float] = []
    for _ in range(ROUNDS + 1):
        started = seconds()
        read(batch.buffer, batch.start, batch.end)
        rounds.append(seconds() - started)
    return min(rounds[1:])


def sample_body(step: Step) -> bytes:
    """A plain body that a program reads: no nulls, no empty texts, ordinary numbers."""
    match step:
        case Inline():
            return b"".join(map(sample_body, step.steps))
        case Choice():
            index = next(
                (i for i, branch in enumerate(step.branches) if not isinstance(branch, ReadNull | Mismatch)), 0
            )
            return bytes([2 * min(index, 63)]) + sample_body(step.branches[index])
        case Items():
            return b"\x02" + (b"\x02k" if step.is_map else b"") + sample_body(step.item) + b"\x00"
        case Read():
            return _sample_scalar(step)
        case _:
            return b""


def _sample_scalar(step: Read) -> bytes:  # noqa: PLR0911 - one return a type
    if isinstance(step.wire, Enum):
        return bytes([2 * next((i for i, symbol in enumerate(step.symbols[:60]) if symbol >= 0), 0)])
    if isinstance(step.wire, Fixed):
        return bytes(step.wire.size)
    logical = step.slot.logical if step.slot is not None else None
    match step.wire.kind:
        case "string" | "bytes":
            if logical is None:
                return b"\x10example."
            text = b"\x01" if logical.name == "decimal" else b"00000000-0000-0000-0000-000000000000"
            return bytes([2 * len(text)]) + text
        case "float":
            return struct.pack("<f", 1.5)
        case "double":
            return struct.pack("<d", 1.5)
        case "boolean":
            return b"\x01"
        case _ if logical is not None and logical.name.endswith("timestamp-millis"):
            return b"\x80\xa0\xf0\xa4\xff\x4e"
        case _:
            return b"\x06"
