"""How dead letters are shown: tables on a terminal, tab-separated lines in a pipe, JSON when asked for.

Values are shown by ``show --values`` alone, keys by ``--keys``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from worker.cli.texts import key_text, printable, show_rows, when
from worker.kafka.letters import Letter
from worker.kafka.resume import Stopped

COLUMNS = ("letter", "origin", "when", "stage", "reason", "detail", "model", "replays")
# An offset that is cut short is of no use, a detail that is folded is.
_WHOLE = frozenset({"letter", "when", "letters", "partition", "offset"})
_DUMPED_BYTES = 256


def as_json(letter: Letter, *, keys: bool) -> dict[str, Any]:
    """What ``dlq list --json`` prints, a line each."""
    origin = letter.origin
    shown: dict[str, Any] = {
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp_ms": letter.timestamp_ms,
        "origin": {"topic": origin.topic, "partition": origin.partition, "offset": letter.origin_offset}
        if origin
        else None,
        "group": letter.group,
        "stage": letter.stage,
        "reason": letter.reason,
        "field": letter.field,
        "detail": letter.message,
        "worker_version": letter.worker_version,
        "model_version": letter.model_version,
        "replays": letter.replays,
    }
    return shown | ({"key": key_text(letter.key)} if keys else {})


def show_letters(letters: Sequence[Letter], *, keys: bool, json_lines: bool) -> None:
    if json_lines:
        for letter in letters:
            typer.echo(json.dumps(as_json(letter, keys=keys)))
        return
    columns = (*COLUMNS, "key") if keys else COLUMNS
    show_rows(columns, [_row(letter, keys=keys) for letter in letters], _WHOLE)


def show_counts(counts: Mapping[tuple[str, str], int], *, json_lines: bool) -> None:
    """How many letters there are of each stage and reason, most first; on a terminal with their sum."""
    ordered = Counter(counts).most_common()
    if json_lines:
        lines = [{"stage": stage, "reason": reason, "letters": count} for (stage, reason), count in ordered]
        typer.echo(json.dumps({"summary": lines, "letters": sum(counts.values())}))
        return
    rows = [(printable(stage or "?"), printable(reason or "?"), str(count)) for (stage, reason), count in ordered]
    show_rows(("stage", "reason", "letters"), rows, _WHOLE)


def show_stopped(stopped: Sequence[Stopped]) -> None:
    rows = [(str(s.partition), str(s.offset), s.why) for s in stopped]
    show_rows(("partition", "offset", "stopped because"), rows, _WHOLE)


def hex_dump(data: bytes, limit: int = _DUMPED_BYTES) -> list[str]:
    """Offset, bytes and ASCII, 16 bytes a line, of the first ``limit`` bytes."""
    lines = []
    for start in range(0, min(len(data), limit), 16):
        row = data[start : min(start + 16, limit)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<47}  {text}")
    return [*lines, f"... and {len(data) - limit} bytes more"] if len(data) > limit else lines


def _row(letter: Letter, *, keys: bool) -> tuple[str, ...]:
    origin = f"{letter.origin}@{letter.origin_offset}" if letter.origin else "?"
    texts = (letter.place, origin, when(letter.timestamp_ms), letter.stage, letter.reason, letter.message)
    row = (*texts, letter.model_version, str(letter.replays))
    return tuple(printable(text) for text in ((*row, key_text(letter.key)) if keys else row))
