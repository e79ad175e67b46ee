"""What the watcher sees: a live screen on a terminal, a line every few seconds in a pipe."""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from worker.demo.figures import Figures
from worker.demo.tally import Count

_BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN_SECONDS = 3.0


@dataclass(slots=True)
class View:
    """Everything on the screen at one moment."""

    title: str
    flights: int
    labels: bool = False
    seconds: float = 0.0
    flights_in: int = 0
    labels_in: int = 0
    count: Count = field(default_factory=Count)
    alerts_told: int = 0
    figures: Figures = field(default_factory=Figures)
    p50: float | None = None
    p99: float | None = None
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=48))
    events: deque[str] = field(default_factory=lambda: deque(maxlen=5))


class Screen:
    """Draws views; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._said = float("-inf")

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def draw(self, view: View) -> None:
        if self._live:
            self._live.update(picture(view), refresh=True)
        elif view.seconds - self._said >= PLAIN_SECONDS:
            self._said = view.seconds
            self.say(line(view))


def line(view: View) -> str:
    rate = view.rates[-1] if view.rates else 0
    labels = view.count.labels
    true = f"  joined {labels.joined:,} ({labels.error_rate:.1%} wrong)" if view.labels else ""
    return (
        f"{view.seconds:5.1f} s  in {view.flights_in:,}  predictions {view.count.predictions:,}  "
        f"dead letters {view.count.dead:,}  {rate:,.0f}/s  lag {view.figures.lag:,}  "
        f"latency p50 {_ms(view.p50)} p99 {_ms(view.p99)}{true}"
    )


def picture(view: View) -> RenderableType:
    done = view.count.predictions + view.count.dead
    progress = Table.grid(padding=(0, 2), expand=True)
    progress.add_column(justify="right", width=12)
    progress.add_column(ratio=1)
    progress.add_column(justify="right", width=20)
    progress.add_row("flown", ProgressBar(view.flights, view.flights_in), f"{view.flights_in:,} of {view.flights:,}")
    progress.add_row("answered", ProgressBar(view.flights, done, complete_style="green"), f"{done:,}")
    if view.labels:
        labels = view.count.labels
        landed = ProgressBar(view.flights, labels.joined, complete_style="magenta")
        progress.add_row("came true?", landed, f"{labels.joined:,}, {labels.error_rate:.1%} wrong")
    body = Group(progress, Text(), _figures(view), Text(), _flights(view), Text(), _events(view))
    return Panel(body, title=f"[bold]{view.title}", border_style="cyan", padding=(1, 2))


def _figures(view: View) -> RenderableType:
    table = Table.grid(padding=(0, 3), expand=True)
    for _ in range(5):
        table.add_column(justify="left")
    rate = view.rates[-1] if view.rates else 0
    table.add_row("[dim]rate", "[dim]lag", "[dim]latency p50 / p99", "[dim]predictions", "[dim]dead letters")
    table.add_row(
        f"[bold]{rate:,.0f}/s[/] {_spark(view.rates)}",
        f"[bold]{view.figures.lag:,}",
        f"[bold]≤ {_ms(view.p50)} / {_ms(view.p99)}",
        f"[bold green]{view.count.predictions:,}[/] ({_share(view.count.late, view.count.predictions)} late)",
        f"[bold yellow]{view.count.dead:,}",
    )
    return table


def _flights(view: View) -> RenderableType:
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 2))
    for name in ("flight", "scheduled (UTC)", "will land late?"):
        table.add_column(name)
    for prediction in reversed(view.count.latest):
        late = prediction["label"] == "1"
        verdict = f"{'[red]late' if late else '[green]on time'}[/]  [dim]risk {prediction['score']:.0%}"
        when = prediction["event_time"]
        shown = when.strftime("%d %b %H:%M") if isinstance(when, dt.datetime) else str(when)
        table.add_row("-".join(prediction["event_id"].split("-")[:3]), shown, verdict)
    return table


def _events(view: View) -> RenderableType:
    reasons = [f"[yellow]{number:,}[/] {reason}" for reason, number in view.count.dead_letters.most_common(2)]
    return Text.from_markup("\n".join([*view.events, *(f"[dim]dead letters:[/] {reason}" for reason in reasons)]))


def _spark(rates: deque[float]) -> str:
    top = max(rates, default=0) or 1
    return "".join(_BLOCKS[round(rate / top * (len(_BLOCKS) - 1))] for rate in list(rates)[-24:])


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1_000:,.0f} ms"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"
