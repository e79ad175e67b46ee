"""From a TOML file and the environment to settings, and to what may be shown of them.

Every problem is reported at once; a key that nobody knows is refused, with the one that was probably meant.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from worker.errors import ConfigurationError
from worker.settings.options import is_reference, is_secret, must_be_apart
from worker.settings.schema_registry import SECRETS
from worker.settings.sections import Settings

ENVIRONMENT_PREFIX = "WORKER_"
STARS = "********"
_PATHS = (
    *(("event", "schema"), ("event", "schema_ids"), ("model", "bundle"), ("labels", "schema")),
    *(("registry", "ca"), ("registry", "certificate"), ("registry", "key")),
)


def load_settings(path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from a TOML file and the environment, which wins.

    Paths in the file are relative to the file. Raises ConfigurationError with every problem found.
    """
    values = _read_toml(path) if path else {}
    written = _written_secrets(values)
    if path:
        _anchor(values, path.parent)
    values = _merged(values, _from_environment(os.environ if environment is None else environment))
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems = [*written, *(_describe(detail) for detail in error.errors())]
        raise ConfigurationError(problems, hint=_hint(path)) from None
    if written:
        raise ConfigurationError(written, hint=_hint(path))
    return settings


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, secrets starred: what ``config show`` prints."""
    values = settings.model_dump(mode="json", by_alias=True)
    options: dict[str, Any] = values["kafka"]["options"]
    values["kafka"]["options"] = {name: STARS if is_secret(name, value) else value for name, value in options.items()}
    registry: dict[str, Any] = values["registry"]
    values["registry"] = {n: STARS if _is_bare_secret(n, v) else v for n, v in registry.items()}
    return values


def _written_secrets(values: Mapping[str, Any]) -> list[str]:
    """Secrets that stand in the settings file itself, where everyone who may read the settings reads them."""
    kafka, registry = values.get("kafka"), values.get("registry")
    options = kafka.get("options") if isinstance(kafka, dict) else None
    found = []
    if isinstance(options, dict):
        found += [f"kafka.options.{name}" for name, value in options.items() if must_be_apart(name, value)]
    if isinstance(registry, dict):
        found += [f"registry.{name}" for name, value in registry.items() if _is_bare_secret(name, value)]
    return [f"{name} is written out; keep it apart, and name it here as 'env:NAME' or 'file:PATH'" for name in found]


def _is_bare_secret(name: str, value: object) -> bool:
    """Of the registry's settings."""
    return name in SECRETS and bool(value) and not is_reference(value)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The part of the settings that environment variables hold, as nested values."""
    names = {name.lower(): value for name, value in environment.items()}
    source = EnvSettingsSource(Settings, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__")
    source.env_vars = names
    values = source()
    for name in names:
        section, nested, _ = name.removeprefix(ENVIRONMENT_PREFIX.lower()).partition("__")
        if name.startswith(ENVIRONMENT_PREFIX.lower()) and nested and section not in Settings.model_fields:
            values[section] = {}  # reported as unknown
    return values


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no settings file {path}", hint="name one with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None


def _anchor(values: dict[str, Any], folder: Path) -> None:
    for section, key in _PATHS:
        holder = values.get(section)
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = str(folder / holder[key])


def _describe(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{where} is not a setting{_suggestion(detail['loc'])}"
    if detail["type"] == "missing":
        return f"{where} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _suggestion(location: Iterable[int | str]) -> str:
    *sections, key = [str(part) for part in location]
    model: Any = Settings
    for section in sections:
        model = model.model_fields[section].annotation
    names = [info.alias or name for name, info in model.model_fields.items()]
    close = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {close[0]}?" if close else f" (known: {', '.join(sorted(names))})"


def _hint(path: Path | None) -> str:
    return f"correct {path} or the environment" if path else "name a settings file with --config"
