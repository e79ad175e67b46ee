"""One dead letter in full, for a person."""

from __future__ import annotations

from typing import Any

import typer

from worker.cli.dlq_views import hex_dump
from worker.cli.texts import key_text, printable, when
from worker.cli.verdicts import Judge, Verdict
from worker.errors import ConfigurationError
from worker.kafka.letters import Letter
from worker.records import Record, RecordBatch
from worker.settings import Settings


def show_letter(letter: Letter, settings: Settings, *, values: bool) -> None:
    """Values, keys and the record's own headers only with ``values``."""
    _section("Letter", _about(letter, settings))
    names = [(name, _bytes(value) if values else f"{len(value or b'')} bytes") for name, value in letter.own_headers]
    if names:
        _section("The record's own headers", names)
    size = "null" if letter.value is None else f"{len(letter.value)} bytes"
    _section("Record", [*([("key", key_text(letter.key))] if values else []), ("value", size)])
    if values and letter.value is not None:
        for line in hex_dump(letter.value):
            typer.echo(f"  {line}")
    _verdict(letter, settings, values=values)
    if not values:
        typer.secho("\nKey, headers, bytes and decoded fields are shown with --values only.", fg="yellow", err=True)


def _about(letter: Letter, settings: Settings) -> list[tuple[str, str]]:
    origin = f"{letter.origin} offset {letter.origin_offset}" if letter.origin else "no header says it"
    return [
        ("stands at", f"{settings.topics.dead_letters}[{letter.partition}] offset {letter.offset}"),
        ("when", when(letter.timestamp_ms)),
        ("came from", origin),
        ("group", letter.group),
        ("stage", letter.stage),
        ("reason", letter.reason),
        ("field", letter.field),
        ("detail", letter.message),
        ("worker", letter.worker_version),
        ("model", letter.model_version),
        ("replays", str(letter.replays)),
        ("dialect", letter.dialect or "none: not a dead letter of this program"),
    ]


def _verdict(letter: Letter, settings: Settings, *, values: bool) -> None:
    record = Record(settings.topics.input, 0, 0, letter.timestamp_ms, letter.key, letter.value, letter.own_headers)
    try:
        judge = Judge(settings.event, registry=settings.registry)
    except ConfigurationError as error:
        _section("Now", [("schema", f"can't be asked: {error}")])
        return
    (now,) = judge.judge(RecordBatch.of([record]))
    _section("Now", [("schema", judge.schema.name), ("verdict", _said(now))])
    if values and now.values is not None:
        _section("Fields", [(name, _value(value)) for name, value in now.values.items()])


def _said(now: Verdict) -> str:
    if (refusal := now.refusal) is not None:
        return f"refused: {refusal.stage}/{refusal.reason}: {refusal.detail}"
    if now.tombstone:
        return "a record without a value, which is skipped (event.tombstones)"
    return "decodes and is valid; a replay would bring it to the model (which was not asked)"


def _section(title: str, rows: list[tuple[str, str]]) -> None:
    typer.secho(title, bold=True)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        if text:
            typer.echo(f"  {printable(name):<{width}}  {printable(text)}")


def _bytes(value: bytes | None) -> str:
    return "null" if value is None else value.decode("utf-8", "backslashreplace")


def _value(value: Any) -> str:
    return "null" if value is None else repr(value)
