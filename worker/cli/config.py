"""``prediction-worker config``: what the settings are, and whether they hold together."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from worker.cli.options import ConfigOption, settings_from

app = typer.Typer(no_args_is_help=True, help="Look at the settings, and check them.")


@app.command()
def show(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show all settings as they take effect: file, environment and defaults; secrets starred."""
    import json

    from worker.settings import shown

    values = shown(settings_from(config))
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    for section, entries in values.items():
        typer.secho(f"[{section}]", bold=True)
        for key, value in entries.items():
            if value is not None and value != {}:
                typer.echo(f"{key} = {_toml(value)}")
        typer.echo()


@app.command()
def check(
    config: ConfigOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Without asking the broker.")] = False,
) -> None:
    """Check settings, schema, bundle, what the broker lets us do, its topics, and the registry; nothing is consumed."""
    from worker import bootstrap
    from worker.kafka.config import admin_config
    from worker.kafka.needed_rights import worker_rights
    from worker.kafka.rights import check_rights
    from worker.kafka.topics import check_topics, needed_topics, partition_counts
    from worker.registry.outputs import check_registry

    settings = settings_from(config)
    _good("settings")
    prepared = bootstrap.prepare(settings)
    model = prepared.served_by
    _good(f"schema and bundle ({model.name} {model.version}; its features are fed, its golden rows agree)")
    if not offline:
        topics = settings.topics
        names = needed_topics(topics, drift=prepared.drift)
        check_rights(admin_config(settings), worker_rights(settings, drift=prepared.drift))
        counts = partition_counts(admin_config(settings), names)
        check_topics(counts, topics, drift=prepared.drift)
        _good("topics (" + ", ".join(f"{name}: {counts[name]} partitions" for name in names) + ")")
        if settings.registry.url:
            check_registry(settings.registry)
            _good("schema registry")


def _good(what: str) -> None:
    typer.secho("ok ", fg="green", nl=False)
    typer.echo(what)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(item)}' for key, item in value.items()) + " }"
    if isinstance(value, str):
        import json

        return json.dumps(value)
    return str(value)
