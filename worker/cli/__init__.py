"""The command line: one command, one file. Here they are put together, and errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from worker import __version__
from worker.cli import config, dlq, drift, model, topics
from worker.cli.broker import broker
from worker.cli.completion import completion
from worker.cli.demo import demo
from worker.cli.doctor import doctor
from worker.cli.init import init
from worker.cli.inspect import inspect
from worker.cli.join import join
from worker.cli.monitor import monitor
from worker.cli.plan import plan
from worker.cli.run import run
from worker.cli.top import top
from worker.errors import ConfigurationError, ExitCode, WorkerError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Predict a Kafka topic: Avro features in, predictions and dead letters out, exactly once.",
)
app.command()(run)
app.command()(monitor)
app.command()(join)
app.command()(demo)
app.command()(broker)
app.command()(inspect)
app.command()(init)
app.command()(doctor)
app.command()(top)
app.command()(plan)
app.command()(completion)
app.add_typer(config.app, name="config")
app.add_typer(model.app, name="model")
app.add_typer(dlq.app, name="dlq")
app.add_typer(drift.app, name="drift")
app.add_typer(topics.app, name="topics")


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"prediction-worker {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """The entry point: exits with a documented code."""
    sys.exit(guarded(app))


def guarded(call: Callable[[], object]) -> int:
    """Run it; a WorkerError becomes a message and its exit code, a bug keeps its traceback."""
    try:
        call()
    except WorkerError as error:
        show(error)
        return int(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone, as `| head` does
        return int(ExitCode.OK)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(ExitCode.BUG if end.code else ExitCode.OK)
    return int(ExitCode.OK)


def show(error: WorkerError) -> None:
    """One line a problem, and the way out."""
    problems = error.problems if isinstance(error, ConfigurationError) else (error.message,)
    for problem in problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    if error.hint:
        typer.secho(f"hint: {error.hint}", fg="yellow", err=True)
