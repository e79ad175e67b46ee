"""Tables for a terminal, a pipe and Markdown; progress for the first two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")
LEAST_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text; its first ``labels`` columns are words, the others numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for k, name in enumerate(self.columns):
            word = k < self.labels
            table.add_column(name, justify="left" if word else "right", no_wrap=not word, overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        rule = ["---" if k < self.labels else "--:" for k in range(len(self.columns))]
        lines = [f"| {' | '.join(row)} |" for row in (self.columns, rule, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines, ""])


def show(screen: Console, sheet: Sheet) -> None:
    """A drawn table on a terminal; in a pipe Markdown, which is plain text and never wrapped.

    A narrow terminal wraps lines by itself: that is easier to read than words cut into letters.
    """
    if screen.is_terminal:
        Console(width=max(screen.width, LEAST_WIDTH)).print(sheet.rich())
    else:
        say(screen, sheet.markdown())


def say(screen: Console, text: str) -> None:
    """As it is, without colours; not wrapped in a pipe."""
    screen.print(text, highlight=False, markup=False, soft_wrap=not screen.is_terminal)


def stepping(screen: Console, items: Iterable[T], describe: Callable[[T], str]) -> Iterator[T]:
    """The items one by one: under a bar on a terminal, with a line each in a pipe."""
    steps = list(items)
    if not screen.is_terminal:
        for number, item in enumerate(steps, 1):
            say(screen, f"{number}/{len(steps)} {describe(item)}")
            yield item
        return
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*shown, console=screen, transient=True) as progress:
        task = progress.add_task("", total=len(steps))
        for item in steps:
            progress.update(task, description=describe(item))
            yield item
            progress.advance(task)
