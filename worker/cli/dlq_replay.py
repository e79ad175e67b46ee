"""The conversation around a replay: what it will do, whether it may, how far it is, and what it did."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from worker.cli.dlq_views import show_counts
from worker.kafka.config import admin_config
from worker.kafka.needed_rights import letters_rights, replay_rights
from worker.kafka.replay import replay
from worker.kafka.replay_plan import ReplayRequest, Verdict, plan
from worker.kafka.rights import check_rights
from worker.settings import Settings


class _Interrupt:
    """The first signal lets the transaction in hand finish; a second one acts as ever."""

    def __init__(self) -> None:
        self.number = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in numbers}

        def note(number: int, _: FrameType | None) -> None:
            self.number = number
            signal.signal(number, before[signal.Signals(number)])

        try:
            for number in numbers:
                signal.signal(number, note)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_replay(settings: Settings, request: ReplayRequest, *, dry_run: bool, ask: bool) -> None:
    needed = letters_rights(settings) if dry_run else replay_rights(settings)
    check_rights(admin_config(settings), needed)
    verdicts, kinds = plan(settings, request)
    count = verdicts[Verdict.REPLAY]
    _say_skipped(verdicts)
    if not count:
        typer.echo("nothing to replay")
        return
    show_counts(kinds, json_lines=False)
    what = f"{count} dead {'letter' if count == 1 else 'letters'} to {settings.topics.input}"
    if dry_run:
        typer.echo(f"would replay {what}")
        return
    if ask and not typer.confirm(f"Replay {what}?"):
        typer.echo("nothing was replayed")
        return
    interrupt = _Interrupt()
    with interrupt.watched(), _bar(count) as progress:
        task = progress.add_task("replaying", total=count)
        done = replay(
            settings,
            request,
            on_chunk=lambda replayed: progress.update(task, completed=replayed),
            should_stop=lambda: interrupt.number > 0,
        )
    replayed = done[Verdict.REPLAY]
    if interrupt.number and replayed < count:
        typer.echo(f"replayed {replayed} of {count}, then stopped; `dlq replay` goes on")
        raise typer.Exit(128 + interrupt.number)
    typer.echo(f"replayed {replayed} of {count}")


def _say_skipped(verdicts: Counter[Verdict]) -> None:
    """What is left out for another cause than the filter, on stderr."""
    hints = {Verdict.GUARDED: "; --max-replays takes them, too", Verdict.DONE: "; --from-start takes them, too"}
    for verdict in (Verdict.DONE, Verdict.GUARDED, Verdict.FOREIGN):
        if verdicts[verdict]:
            typer.secho(f"left out: {verdicts[verdict]} {verdict}{hints.get(verdict, '')}", fg="yellow", err=True)


def _bar(count: int) -> Progress:
    """On stderr, and only on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal or not count, transient=True)
