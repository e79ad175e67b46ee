"""``prediction-worker drift``: what has drifted, and what would have by other thresholds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.dlq import since_ms
from worker.cli.options import ConfigOption, settings_from
from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from worker.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Look at drift, and at what other thresholds would make of it.")
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, an object a line.")]


@app.command()
def report(
    config: ConfigOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Of windows that end later, in event time: 90m, 2h, 3d ago, or an ISO time (UTC unless it says)."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page to this file, with histograms and time lines.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the windows and episodes of drift that the monitor has published of the bundle's model.

    The page needs nothing besides: it can be sent, or kept beside the model.

    For example:

        prediction-worker drift report

        prediction-worker drift report --since 2013-06-01 --html drift.html

        prediction-worker drift report --json | jq 'select(.kind == "alert")'
    """
    from worker.bootstrap import read_reference
    from worker.cli.drift_found import read_found
    from worker.cli.drift_page import page
    from worker.cli.drift_views import show_found, show_json, summary

    settings = settings_from(config)
    begin = None if since is None else since_ms(since, datetime.now(UTC))
    found = read_found(settings, read_reference(settings), begin)
    if html is not None:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{html} can't be written: {error.strerror}") from None
        typer.echo(f"{html}: {summary(found)}", err=True)
    elif as_json:
        show_json(found)
    else:
        show_found(found)


@app.command()
def replay(
    *,
    config: ConfigOption = None,
    rate: Annotated[
        float | None, typer.Option(help="False episodes in 1,000 windows, in place of drift.rate.", min=0)
    ] = None,
    min_records: Annotated[int | None, typer.Option(help="In place of drift.min_records.", min=1)] = None,
    effect_floor: Annotated[float | None, typer.Option(help="In place of drift.effect_floor.", min=0, max=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the monitor over the stored sketches with other thresholds, and print the episodes; nothing is written.

    For example:

        prediction-worker drift replay --rate 0.1

        prediction-worker drift replay --effect-floor 0.1 --min-records 1000
    """
    from worker.cli.drift_replay import run_replay

    given = {"rate": rate, "min_records": min_records, "effect_floor": effect_floor}
    run_replay(_with(settings_from(config), given), json_lines=as_json)


def _with(settings: Settings, given: dict[str, float | None]) -> Settings:
    drift = settings.drift.model_dump() | {name: value for name, value in given.items() if value is not None}
    return settings.model_copy(update={"drift": type(settings.drift).model_validate(drift)})
