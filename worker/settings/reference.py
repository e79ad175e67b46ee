"""``docs/configuration.md``, written from the sections: ``python -m worker.settings.reference > docs/configuration.md``."""

from __future__ import annotations

import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

import annotated_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from worker.settings.loading import ENVIRONMENT_PREFIX
from worker.settings.section import Section
from worker.settings.sections import Settings

_INTRODUCTION = """\
# Settings

One TOML file, named by `--config` or `WORKER_CONFIG`, else `worker.toml` in the current folder. An environment variable
wins over the file: its name is `WORKER_`, the section, two underscores and the setting, such as
`WORKER_KAFKA__BOOTSTRAP`. Lists and tables are JSON there: `WORKER_KAFKA__OPTIONS='{"security.protocol": "SSL"}'`.
Paths in the file are relative to the file, paths in the environment to the current folder.

Secrets stand in the environment or in files of their own, never in the settings file: `env:NAME` and `file:PATH` name
where each is.

`prediction-worker config show` prints what takes effect, secrets starred. `prediction-worker config check` tries it
against schema, bundle and broker. Unknown settings are refused. So are options of librdkafka that would break a
guarantee, each with what to use instead. An option with `consumer.` or `producer.` in front is for that client only.

This page is written from `worker/settings/sections.py`.
"""
_NAMES: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Path: "path",
    types.NoneType: "",
}


def configuration_page() -> str:
    """The whole page, Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(name, info) for name, info in Settings.model_fields.items())])


def _section(name: str, info: FieldInfo) -> str:
    section = info.annotation
    assert isinstance(section, type)  # every field of Settings is a Section
    assert issubclass(section, Section)
    head = f"## [{name}]\n\n{section.__doc__}\n\n| setting | type | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(_row(name, key, field) for key, field in section.model_fields.items())


def _row(section: str, key: str, field: FieldInfo) -> str:
    name = field.alias or key
    variable = f"{ENVIRONMENT_PREFIX}{section}__{name}".upper()
    kind = f"{_kind(field.annotation)}{_bounds(field)}"
    meaning = _escaped(field.description or "")
    return f"| `{name}`<br>`{variable}` | {kind} | {_default(field)} | {meaning} |\n"


def _kind(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (types.UnionType, Union):
        return " or ".join(filter(None, map(_kind, arguments)))
    if origin is dict:
        return "table"
    return _NAMES[annotation]


def _bounds(field: FieldInfo) -> str:
    """The limits of a number, `` 1 to 900`` or `` from 1``; a text's pattern is in its description."""
    least = next((bound.ge for bound in field.metadata if isinstance(bound, annotated_types.Ge)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, annotated_types.Le)), None)
    if least is None:
        return ""
    return f", {least:,} to {most:,}" if most is not None else f", from {least:,}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is PydanticUndefined:
        return "empty"
    if field.default in (None, ""):
        return "as described"
    return f"`{field.default}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
