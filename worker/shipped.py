"""Files that come with the program: output schemas, and the flights example."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The path of ``schemas/…`` or ``examples/…``: at a checkout's top level, or inside an installed package."""
    installed = _PACKAGE / "_shipped" / name
    return installed if installed.exists() else _PACKAGE.parent / name


def output_schema(name: str) -> str:
    """The text of an output schema, such as ``prediction``."""
    return shipped(f"schemas/{name}.avsc").read_text(encoding="utf-8")
