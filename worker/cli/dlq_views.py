"""How dead letters are shown: tables on a terminal, tab-separated lines in a pipe, JSON when asked for.

A letter's texts may come from anybody who can write to the topic, so control characters are escaped before they reach
a terminal. Values are shown by ``show --values`` alone, keys by ``--keys``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.kafka.letters import Letter
from worker.kafka.resume import Stopped

COLUMNS = ("letter", "origin", "when", "stage", "reason", "detail", "model", "replays")
_DUMPED_BYTES = 256


def when(timestamp_ms: int) -> str:
    """UTC, to the millisecond."""
    return datetime.fromtimestamp(timestamp_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """One line, whatever is in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def key_text(key: bytes | None) -> str:
    return "null" if key is None else printable(key.decode("utf-8", "backslashreplace"))


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
    _rows(columns, [_row(letter, keys=keys) for letter in letters])


def show_counts(counts: Mapping[tuple[str, str], int], *, json_lines: bool) -> None:
    """How many letters there are of each stage and reason, most first; on a terminal with their sum."""
    ordered = Counter(counts).most_common()
    if json_lines:
        lines = [{"stage": stage, "reason": reason, "letters": count} for (stage, reason), count in ordered]
        typer.echo(json.dumps({"summary": lines, "letters": sum(counts.values())}))
        return
    rows = [(printable(stage or "?"), printable(reason or "?"), str(count)) for (stage, reason), count in ordered]
    _rows(("stage", "reason", "letters"), rows)


def show_stopped(stopped: Sequence[Stopped]) -> None:
    _rows(("partition", "offset", "stopped because"), [(str(s.partition), str(s.offset), s.why) for s in stopped])


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


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; in a pipe a line of names and a line each, so that ``cut`` and ``awk`` find their way."""
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            typer.echo("\t".join(row))
        return
    table = Table()
    for name in columns:
        # An offset that is cut short is of no use, a detail that is folded is.
        table.add_column(name, no_wrap=name in ("letter", "when", "letters", "partition", "offset"), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
