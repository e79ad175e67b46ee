"""``prediction-worker top``: a running group, live."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from worker.cli.options import ConfigOption, settings_from


def top(
    config: ConfigOption = None,
    interval: Annotated[float, typer.Option(help="Seconds between looks.", min=0.2, max=3_600)] = 2.0,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Where workers serve their metrics, for latencies. Can be given several times.",
            show_default="telemetry.host and telemetry.port",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one picture, after one interval, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: as JSON.")] = False,
) -> None:
    """Watch a group: members, partitions, lag, rate, latency, dead letters by reason, open episodes of drift.

    With labels also the joiners, what they have not read yet, and the latest realised quality.

    It asks the broker from outside: it joins no group, and consumes and commits nothing. Rates come from committed
    offsets, latencies from the workers' metrics, where these answer. In a pipe it prints one picture, as with --once.

    For example:

        prediction-worker top

        prediction-worker top --metrics http://worker-0:9464/metrics --metrics http://worker-1:9464/metrics

        prediction-worker top --once --json | jq .lag
    """
    from worker.cli.texts import on_terminal
    from worker.cli.top_run import show_on_and_on, show_once

    settings = settings_from(config)
    telemetry = settings.telemetry
    host = "127.0.0.1" if telemetry.host in ("0.0.0.0", "::") else telemetry.host  # noqa: S104 - asked, not listened on
    own = [f"http://{host}:{telemetry.port}/metrics"] if telemetry.port else []
    urls = metrics or own
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: the screen is given back
    try:
        if once or as_json or not on_terminal():
            show_once(settings, urls, interval, json_lines=as_json)
        else:
            show_on_and_on(settings, urls, interval)
    except KeyboardInterrupt:
        if once or as_json:
            raise typer.Exit(130) from None
