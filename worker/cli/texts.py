"""How records are put on a screen or into a pipe.

Texts may come from anybody who can write to a topic, so control characters are escaped before they reach a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def when(timestamp_ms: int) -> str:
    """UTC, to the millisecond; the bare number for a time that no calendar holds."""
    try:
        time = _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return str(timestamp_ms)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def briefly(timestamp_ms: int) -> str:
    """The same for a page that people read: what is nought is left out, so that a window of a day is a date."""
    return (
        when(timestamp_ms)
        .removesuffix("Z")
        .removesuffix(".000")
        .removesuffix(":00")
        .replace("T", " ")
        .removesuffix(" 00:00")
    )


def printable(text: str) -> str:
    """One line, whatever is in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def key_text(key: bytes | None) -> str:
    return "null" if key is None else printable(key.decode("utf-8", "backslashreplace"))


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def on_terminal() -> bool:
    return Console().is_terminal


def tabbed(cells: Sequence[str]) -> str:
    """One line, so that ``cut`` and ``awk`` find their way."""
    return "\t".join(cells)


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], whole: frozenset[str] = frozenset()) -> None:
    """A table on a terminal; in a pipe a line of names and a line each. ``whole``: columns that are never folded."""
    if not on_terminal():
        for row in (columns, *rows):
            typer.echo(tabbed(row))
        return
    table = Table()
    for name in columns:
        table.add_column(name, no_wrap=name in whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
