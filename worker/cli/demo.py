"""``prediction-worker demo``: see it work, on this machine, with nothing installed beforehand."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from worker.errors import ExitCode


def demo(
    flights: Annotated[int, typer.Option(help="So many flights of March 2013 onwards.", min=100, max=284_000)] = 30_000,
    rate: Annotated[float, typer.Option(help="Flights a second; 0: as fast as possible.", min=0)] = 1_000,
    processes: Annotated[int, typer.Option(help="Workers.", min=1, max=6)] = 2,
    crash: Annotated[bool, typer.Option(help="Kill a worker and the joiner half-way with kill -9.")] = True,
    mock: Annotated[
        bool, typer.Option("--mock", help="On the mock cluster, at least once, without Apache Kafka.")
    ] = False,
) -> None:
    """Watch real flights stream through a real Kafka and two workers, exactly once.

    A model is trained on January and February 2013; from March on every departed flight is predicted: will it land
    more than 15 minutes late? Cancelled flights have no departure delay: they become dead letters. Once a flight has
    landed its label follows, and is joined to the prediction. Half-way one of the workers and the joiner are killed.
    Exit code 0 means that every flight was answered and every label joined, and none twice.

    For example:

        prediction-worker demo

        prediction-worker demo --flights 200000 --rate 0

        prediction-worker demo --processes 3 --no-crash
    """
    from rich.console import Console

    from worker.broker.mock import MockKafka
    from worker.demo.show import Play, perform

    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: everything is stopped in order
    play = Play(flights, rate, processes, crash)
    try:
        sound = perform(play, console, MockKafka() if mock else None)
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None
    raise typer.Exit(ExitCode.OK if sound else ExitCode.BUG)
