"""``prediction-worker plan``: how many workers a stream needs, and whether a manifest agrees with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import DEFAULT_CONFIG, ConfigOption, settings_from
from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from worker.telemetry.scrape import Scraped

PROBLEMS_FOUND = 1
_RECORD_BYTES = 200


def plan(
    *,
    config: ConfigOption = None,
    rate: Annotated[float | None, typer.Option(help="Events a second at the peak.", min=0)] = None,
    throughput: Annotated[
        float | None, typer.Option(help="Events a second of one process that is never idle, as measured.", min=1)
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Measure it: metrics of workers that have run under load. Can be repeated."),
    ] = None,
    outage: Annotated[float, typer.Option(help="Seconds of the longest outage that is planned for.", min=0)] = 300,
    catch_up: Annotated[float, typer.Option(help="Seconds after it in which the lag must be gone.", min=1)] = 600,
    utilisation: Annotated[float, typer.Option(help="Share of a process's time at the peak.", min=0.05, max=1)] = 0.7,
    record_bytes: Annotated[
        float | None,
        typer.Option(help="Size of a record on average.", show_default=f"as measured, or {_RECORD_BYTES}", min=1),
    ] = None,
    partitions: Annotated[int | None, typer.Option(help="Those that the input has.", min=1)] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Kubernetes manifests: a file, a folder, or - for stdin.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, an object a line.")] = False,
) -> None:
    """Compute processes, partitions, memory and time-outs for a load; check Kubernetes manifests for contradictions.

    The throughput of one process is measured with `--metrics` on a worker under load, or taken from docs/benchmarks.md.
    Settings come from the manifests' own ConfigMap, or else as for `run`.

    For example:

        prediction-worker plan --rate 20000 --throughput 150000 --outage 600 --catch-up 900

        prediction-worker plan --rate 20000 --metrics http://worker:9464/metrics

        kubectl kustomize k8s/base | prediction-worker plan --partitions 12 --check -

    Exit codes: 0 no contradiction was found, 1 one was.
    """
    from worker.cli.plan_run import run_plan
    from worker.planning import Load
    from worker.telemetry.scrape import scrape

    if rate is None and check is None:
        raise ConfigurationError("there is nothing to plan", hint="say --rate and --throughput, or --check FILE")
    measured = scrape(metrics or [])
    load = None
    if rate is not None:
        load = Load(rate, throughput or _throughput(measured, metrics or []), outage, catch_up, utilisation)
    if record_bytes is None:
        record_bytes = measured.input_bytes / measured.records if measured and measured.records else _RECORD_BYTES
    named = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    settings = None if named is None else settings_from(named)
    if run_plan(settings, load, record_bytes=record_bytes, partitions=partitions, check=check, json_lines=as_json):
        raise typer.Exit(PROBLEMS_FOUND)


def _throughput(measured: Scraped | None, urls: Sequence[str]) -> float:
    """Events a second of one process that is never idle. Raises ConfigurationError."""
    if measured is None:
        raise ConfigurationError(
            f"no metrics were to be had at {', '.join(urls)}" if urls else "no throughput is known",
            hint="say --throughput, or --metrics URL of a worker that has run under load",
        )
    if not measured.busy_seconds:
        raise ConfigurationError("those workers have not predicted anything yet", hint="let them, under load")
    return measured.records / measured.busy_seconds
