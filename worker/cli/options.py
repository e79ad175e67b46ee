"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.settings import Settings, load_settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="WORKER_CONFIG", help="Settings file (TOML).", show_default="worker.toml, if there"
    ),
]
DEFAULT_CONFIG = Path("worker.toml")


def settings_from(path: Path | None) -> Settings:
    """From the file named, else from worker.toml where there is one, else from the environment alone."""
    return load_settings(path or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None))
