"""The plan and the contradictions, printed."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from worker.cli.doctor_views import show_findings
from worker.cli.texts import show_rows
from worker.doctor import Finding, Level
from worker.doctor.findings import of_error
from worker.errors import ConfigurationError
from worker.planning import (
    JoinerMemory,
    Load,
    Manifests,
    Memory,
    check_deadlines,
    check_manifests,
    deadlines_of,
    joiner_memory,
    memory_of,
    plan_for,
    read_manifests,
)
from worker.planning.sizing import MIB
from worker.settings import Settings, load_settings


def run_plan(
    settings: Settings | None,
    load: Load | None,
    *,
    record_bytes: float,
    partitions: int | None,
    check: Path | None,
    json_lines: bool,
) -> bool:
    """Whether an error was found. ``settings``: of a file beside; None: the manifests' own, or none. Raises ConfigurationError."""
    manifests = None if check is None else read_manifests(sys.stdin.read() if str(check) == "-" else check)
    given, problems = _settings(settings, manifests)
    settings = given[0] if given else None
    memory = None if settings is None else memory_of(settings, record_bytes=record_bytes, bundle_bytes=_bytes(settings))
    joiner = next((joiner_memory(own, load) for own in given if own.labels.enabled), None)
    if load is not None:
        _show_plan(load, settings, memory, joiner, json_lines=json_lines)
        partitions = partitions or plan_for(load).partitions
    if manifests is None and settings is None:
        return False
    findings = [*problems, *_findings(given, manifests, partitions, memory, joiner)]
    return bool(show_findings(findings, json_lines=json_lines)[Level.ERROR])


def _findings(
    settings: Sequence[Settings],
    manifests: Manifests | None,
    partitions: int | None,
    memory: Memory | None,
    joiner: JoinerMemory | None,
) -> Iterator[Finding]:
    if not settings:
        return
    yield from check_deadlines(settings[0])
    if manifests is not None:
        own = settings[: len(manifests.workloads)]
        yield from check_manifests(manifests, own, partitions=partitions, memory=memory, joiner=joiner)


def _settings(given: Settings | None, manifests: Manifests | None) -> tuple[Sequence[Settings], list[Finding]]:
    """Of each workload, or one for all where there is none; a finding a problem with them."""
    beside = [] if given is None else [given]
    if manifests is None:
        return beside, []
    environments = [workload.environment for workload in manifests.workloads] or [{}]
    try:
        if manifests.settings is None and given is not None:
            return beside * len(environments), []
        return [_with_environment(manifests.settings, environment) for environment in environments], []
    except ConfigurationError as problem:
        return beside * len(environments), of_error("settings", problem)


def _with_environment(text: str | None, environment: dict[str, str]) -> Settings:
    """The environment of a container wins over the file. Raises ConfigurationError."""
    if text is None:
        return load_settings(None, environment)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "worker.toml"
        file.write_text(text, encoding="utf-8")
        return load_settings(file, environment)


def _show_plan(
    load: Load, settings: Settings | None, memory: Memory | None, joiner: JoinerMemory | None, *, json_lines: bool
) -> None:
    plan = plan_for(load)
    if json_lines:
        shown = {"plan": dataclasses.asdict(plan), "load": dataclasses.asdict(load)}
        if memory is not None:
            shown["memory"] = dataclasses.asdict(memory) | {"need": memory.need, "limit": memory.limit}
        if joiner is not None:
            shown["joiner"] = {"base": joiner.base, "held": joiner.held}
        if settings is not None:
            shown["deadlines"] = dataclasses.asdict(deadlines_of(settings))
        typer.echo(json.dumps(shown))
        return
    rows = [
        ("one process", f"{load.per_process:,.0f} events/s", "as measured"),
        (
            "processes at the peak",
            str(plan.steady),
            f"{load.peak:,.0f} events/s at {load.utilisation:.0%} of their time",
        ),
        (
            "processes at most",
            str(plan.most),
            f"a backlog of {plan.backlog:,} is gone in {load.catch_up_seconds:,.0f} s",
        ),
        (
            "processes at least",
            str(plan.least),
            "one may go, another goes on" if plan.least > 1 else "a second one would only stand by",
        ),
        (
            "partitions",
            str(plan.partitions),
            f"{load.growth:g} times the most: they can be added, and order per key breaks then",
        ),
    ]
    if memory is not None:
        parts = (
            ("libraries", memory.base),
            ("model", memory.model),
            ("prefetch", memory.prefetch),
            ("batch", memory.batch),
        )
        told = ", ".join(f"{name} {size / MIB:,.0f}" for name, size in parts)
        rows.append(("memory of a process", f"{memory.need / MIB:,.0f} MiB", f"estimated: {told}"))
        rows.append(("memory limit", f"{memory.limit / MIB:,.0f}Mi", "half as much again"))
    if joiner is not None and joiner.held is not None:
        told = f"estimated: the predictions of a horizon, if the peak lasts; {joiner.base / MIB:,.0f} for each joiner beside"
        rows.append(("memory of all joiners", f"{joiner.held / MIB:,.0f} MiB", told))
    if settings is not None:
        deadlines = deadlines_of(settings)
        rows.append(("terminationGracePeriodSeconds", f"{deadlines.termination:g}", "delivery.grace_seconds and 10 s"))
        rows.append(("a hung call ends the process", f"{deadlines.watchdog:g} s", "delivery.watchdog_seconds"))
        rows.append(("liveness gives the loop up", f"{deadlines.restart:g} s", "/healthz, whatever the probe's period"))
    show_rows(("what", "how much", "why"), rows)


def _bytes(settings: Settings) -> int:
    """Of the bundle's files, where it is here."""
    bundle = settings.model.bundle
    if bundle.is_file():
        return bundle.stat().st_size
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) if bundle.is_dir() else 0
