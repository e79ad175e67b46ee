"""The demo's story from beginning to end, and its verdict."""

from __future__ import annotations

import collections
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from worker.broker.choose import Broker, best_broker
from worker.demo import figures, stage
from worker.demo.labels import Labels
from worker.demo.screen import Screen, View
from worker.demo.stage import Stage
from worker.demo.tally import Tally
from worker.errors import TransportError

START_SECONDS = 60.0
# So long without any progress at the end means that what is missing will not come.
PATIENCE_SECONDS = 45.0
ROUND_SECONDS = 0.25
LATENCY_ROUNDS = 20  # quantiles are over the last five seconds


@dataclass(frozen=True, slots=True)
class Play:
    """What is to be shown. ``rate`` in flights a second; ``crash``: kill -9 a worker half-way."""

    flights: int = 30_000
    rate: float = 1_000
    processes: int = 2
    crash: bool = True


def perform(play: Play, console: Console, broker: Broker | None = None) -> bool:
    """Show it all; whether every flight was answered and every label joined, exactly once where the broker has transactions."""
    screen = Screen(console)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prediction-worker-demo-")))
        screen.say("Training a model on the flights of January and February 2013 ...")
        screen.say(f"  {stage.pack_bundle(folder)}")
        screen.say("Starting a broker ...")
        broker = stack.enter_context(broker or best_broker(screen.say))
        kind = "Apache Kafka" if broker.transactional else "mock cluster (at least once)"
        screen.say(f"  {kind} on {broker.bootstrap}")
        set_up = stage.set_stage(folder, broker, labels=True)
        supervisor = stack.enter_context(stage.workers(set_up, play.processes))
        _await_ready(set_up, supervisor)
        screen.say(f"  {play.processes} workers are ready; metrics on http://127.0.0.1:{set_up.port}/metrics")
        tally = Tally(set_up)
        stack.callback(tally.close)
        begun = time.monotonic()
        with screen:
            view = _watch(play, set_up, supervisor, tally, screen)
        return _verdict(view, set_up, tally, time.monotonic() - begun, console)


def _await_ready(set_up: Stage, supervisor: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ((now := figures.read(set_up.port)) and now.ready):
        stage.require_running(supervisor, "worker", set_up.log)
        if time.monotonic() > deadline:
            raise TransportError(f"the workers were not ready in time:\n{stage.last_lines(set_up.log)}")
        time.sleep(0.1)


def _watch(play: Play, set_up: Stage, supervisor: subprocess.Popen[bytes], tally: Tally, screen: Screen) -> View:
    """Until every flight is answered and every label joined, or nothing moves any more."""
    view = View(f"{play.flights:,} flights from New York, 2013 · {set_up.mode}", play.flights, labels=set_up.labels)
    begun = moved = time.monotonic()
    answered = joined = 0
    recent = collections.deque([figures.Figures()], maxlen=LATENCY_ROUNDS)
    crash_due = play.crash
    with stage.replay(set_up, play.flights, play.rate) as replay:
        while not _is_over(view, answered, replay) and time.monotonic() - moved < PATIENCE_SECONDS:
            time.sleep(ROUND_SECONDS)
            stage.require_running(supervisor, "worker", set_up.log)
            stage.require_running(replay, "replay", set_up.folder / "replay.log")
            now, total = time.monotonic(), len(tally.count.answers)
            if total > answered or tally.count.labels.joined > joined or replay.poll() is None:
                moved = now
            joined = tally.count.labels.joined
            view.rates.append((total - answered) / (now - begun - view.seconds))
            view.seconds, view.count, view.flights_in, answered = now - begun, tally.count, tally.flights_in(), total
            view.labels_in = tally.labels_in()
            view.figures = figures.read(set_up.port) or view.figures
            view.p50, view.p99 = (view.figures.latency_seconds(q, recent[0]) for q in (0.5, 0.99))
            recent.append(view.figures)
            _tell_drift(view, screen)
            if crash_due and view.flights_in > play.flights / 2:
                crash_due = False
                _crash(supervisor, view, screen)
            screen.draw(view)
    return view


def _is_over(view: View, answered: int, replay: subprocess.Popen[bytes]) -> bool:
    labels = view.count.labels
    came_true = replay.poll() is not None and len(labels) >= view.labels_in and labels.joined >= labels.pairs
    return answered >= view.flights and (came_true or not view.labels)


def _tell_drift(view: View, screen: Screen) -> None:
    """Episodes as they open and end; what only grows worse is left out."""
    alerts = view.count.alerts
    for alert in alerts[view.alerts_told :]:
        if alert["event"] == "updated":
            continue
        colour = {"opened": "magenta", "closed": "green"}[alert["event"]]
        day = f"{alert['window_start']:%d %b}"
        text = f"[{colour}]drift {alert['event']}[/] {alert['series']} ({alert['what']}, {alert['severity']}) on {day}"
        view.events.append(f"{view.seconds:.0f} s  {text}")
        screen.say(f"{view.seconds:5.1f} s  {text}")
    view.alerts_told = len(alerts)


def _crash(supervisor: subprocess.Popen[bytes], view: View, screen: Screen) -> None:
    worker, joiner = stage.kill_one(supervisor, "run"), stage.kill_one(supervisor, "join")
    if worker is not None:
        text = f"[red]kill -9[/] worker process {worker}, in the middle of its work: another takes its slot over"
        if joiner is not None:
            text = f"[red]kill -9[/] worker process {worker} and joiner {joiner}, in the middle of their work: others take over"
        view.events.append(f"{view.seconds:.0f} s  {text}")
        screen.say(f"{view.seconds:5.1f} s  {text}")


def _verdict(view: View, set_up: Stage, tally: Tally, seconds: float, console: Console) -> bool:
    count, flights_in = view.count, tally.flights_in()
    lost = flights_in - len(count.answers)
    sound = flights_in == view.flights and lost == 0 and (count.doubled == 0 or set_up.mode == "at-least-once")
    table = Table(title="Summary", title_justify="left", box=None, show_header=False, padding=(0, 2))
    table.add_column(justify="left", style="dim")
    table.add_column(justify="right", style="bold")
    for name, number in (
        ("records in", flights_in),
        ("predictions", count.predictions),
        ("dead letters", count.dead),
        ("lost", lost),
        ("doubled", count.doubled),
    ):
        table.add_row(name, f"{number:,}")
    if set_up.labels:
        table.add_row("labels in", f"{len(count.labels):,}")
        table.add_row("joined", f"{count.labels.joined:,}")
        table.add_row("realised error", f"{count.labels.error_rate:.1%}")
    table.add_row("flights a second", f"{flights_in / seconds:,.0f}")
    console.print()
    console.print(table)
    for reason, number in count.dead_letters.most_common():
        console.print(f"  dead letters: {number:,} × {reason}", highlight=False, soft_wrap=True)
    equation = f"{flights_in:,} in = {count.predictions:,} predictions + {count.dead:,} dead letters"
    if sound:
        how = "exactly once" if set_up.mode == "exactly-once" else "at least once"
        console.print(
            f"[bold green]✔[/] {equation}: every flight was answered, {how}.", highlight=False, soft_wrap=True
        )
    else:
        console.print(
            f"[bold red]✘[/] {lost:,} flights were lost, {count.doubled:,} doubled.", highlight=False, soft_wrap=True
        )
    return _verdict_of_labels(count.labels, tally.labels_in(), console) and sound if set_up.labels else sound


def _verdict_of_labels(labels: Labels, labels_in: int, console: Console) -> bool:
    """By the joiner's counts, and a join of our own beside."""
    sound = labels.sound and len(labels) == labels_in
    if sound:
        equation = f"{labels_in:,} labels = {labels.joined:,} joined"
        if alone := labels_in - labels.joined:
            equation += f" + {alone:,} without a prediction"
        text = (
            f"[bold green]✔[/] {equation}: each counted, exactly once; {labels.wrong:,} predictions did not come true."
        )
    else:
        text = f"[bold red]✘[/] {labels.lost:,} labels were not joined, {labels.doubled:,} doubled."
    console.print(text, highlight=False, soft_wrap=True)
    return sound
