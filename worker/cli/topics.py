"""``prediction-worker topics``: the topics that a worker needs."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.options import ConfigOption, settings_from

app = typer.Typer(no_args_is_help=True, help="Make the topics that the worker needs.")


@app.command()
def create(
    config: ConfigOption = None,
    partitions: Annotated[int, typer.Option(help="Of the input topic, if it does not exist yet.", min=1)] = 6,
    replication: Annotated[int, typer.Option(help="Replication factor; -1 takes the broker's default.", min=-1)] = -1,
) -> None:
    """Create the topics that are missing, and add missing partitions to outputs; what exists stays as it is.

    Those for drift are among them, unless drift.enabled is false; and those for labels with labels.horizon_seconds.
    """
    from worker.kafka.config import admin_config
    from worker.kafka.topics import create_topics

    settings = settings_from(config)
    done = create_topics(
        admin_config(settings),
        settings.topics,
        partitions=partitions,
        replication=replication,
        drift=settings.drift.enabled is not False,
        labels=settings.labels.enabled,
    )
    for line in done or ["nothing to do: all topics are there"]:
        typer.echo(line)
