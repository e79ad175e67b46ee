"""``prediction-worker doctor``: what is wrong, or will be, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.options import ConfigOption

PROBLEMS_FOUND = 1


def doctor(
    config: ConfigOption = None,
    probe: Annotated[
        str | None,
        typer.Option(
            metavar="TOPIC", help="Send one record through this topic and back; created and deleted if it is not there."
        ),
    ] = None,
    records: Annotated[
        int, typer.Option(help="So many of the input's latest records are judged by the schema; 0: none.", min=0)
    ] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, an object a finding.")] = False,
) -> None:
    """Look at everything that a worker needs, and say of each finding how to mend it.

    Settings, schema, bundle and golden rows; broker, topics, permissions, group, clock, port; a transaction, which is
    aborted; and the latest records. Nothing is consumed or changed, but for the topic of --probe, which also compares the
    broker's clock with ours.

    For example:

        prediction-worker doctor

        prediction-worker doctor --probe doctor-probe

        prediction-worker doctor --json | jq 'select(.level != "ok")'

    Exit codes: 0 no error was found, 1 one was.
    """
    from worker.cli.doctor_run import examine
    from worker.cli.doctor_views import show_findings
    from worker.doctor import Level

    levels = show_findings(examine(config, probe, records), json_lines=as_json)
    if Level.ERROR in levels:
        raise typer.Exit(PROBLEMS_FOUND)
