"""Findings on a terminal, in a pipe and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.texts import counted, on_terminal, printable, tabbed
from worker.doctor import Finding, Level

COLUMNS = ("check", "level", "finding", "fix")
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def show_findings(findings: Iterable[Finding], *, json_lines: bool) -> Counter[Level]:
    """How many there were of each level. In a pipe each is a line as soon as it is known, on a terminal all are a table."""
    levels: Counter[Level] = Counter()
    if json_lines or not on_terminal():
        if not json_lines:
            typer.echo(tabbed(COLUMNS))
        for finding in findings:
            levels[finding.level] += 1
            typer.echo(json.dumps(dataclasses.asdict(finding)) if json_lines else tabbed(_cells(finding)))
    else:
        console = Console()
        found = []
        with console.status("examining") as status:
            for finding in findings:
                status.update(f"examined: {finding.check}")
                found.append(finding)
        levels.update(finding.level for finding in found)
        console.print(_table(found))
    typer.echo(summary(levels), err=True)
    return levels


def summary(levels: Counter[Level]) -> str:
    return f"{counted(levels[Level.ERROR], 'error')}, {counted(levels[Level.WARNING], 'warning')}"


def _table(findings: Iterable[Finding]) -> Table:
    table = Table()
    for name in COLUMNS:
        table.add_column(name, no_wrap=name in ("check", "level"), overflow="fold")
    before = ""
    for finding in findings:
        check, level, *texts = _cells(finding)
        cells = (Text("" if check == before else check), Text(level, style=_STYLES[finding.level]), *map(Text, texts))
        table.add_row(*cells)
        before = check
    return table


def _cells(finding: Finding) -> tuple[str, ...]:
    """Texts of brokers and files may hold anything."""
    return tuple(printable(text) for text in (finding.check, finding.level, finding.text, finding.fix))
