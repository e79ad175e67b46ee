"""``prediction-worker init``: a project to start from, that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

# The example as it stands in this repository; its name is replaced, in files and in their names.
_EXAMPLE = "starter"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_LEFT_OUT = {"__pycache__", "models", ".pytest_cache"}


def init(
    name: Annotated[str, typer.Argument(help="Of the project: its folder, topic, group and model are called so.")],
    to: Annotated[Path | None, typer.Option(help="Another folder.", show_default="./NAME", file_okay=False)] = None,
) -> None:
    """Write a project that trains a model, passes its tests, and runs against `prediction-worker broker`.

    Schema, settings, training script, a test that runs the whole worker in memory, and a producer of made-up data:
    replace them with your own, file by file.

    For example:

        prediction-worker init pumps && cd pumps && python train.py

        prediction-worker init fraud --to services/fraud
    """
    from worker.shipped import shipped

    if not _NAME.fullmatch(name):
        raise typer.BadParameter(
            f"{name!r} must begin with a lower-case letter; then letters, digits, - and _ (60 at most)",
            param_hint="NAME",
        )
    folder = to or Path(name)
    try:
        written = _write(shipped(f"examples/{_EXAMPLE}"), folder, name)
    except OSError as error:
        raise typer.BadParameter(f"{folder} can't be written: {error.strerror}", param_hint="--to") from None
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(
        f"\nNext: cd {folder} && python train.py && python -m pytest; {folder / 'README.md'} goes on from there."
    )


def _write(example: Path, folder: Path, name: str) -> list[Path]:
    """The files written, in order. Nothing that is there is ever written over."""
    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty", param_hint="--to")
    sources = sorted(
        path for path in example.rglob("*") if path.is_file() and _LEFT_OUT.isdisjoint(path.relative_to(example).parts)
    )
    written = []
    for source in sources:
        target = folder / str(source.relative_to(example)).replace(_EXAMPLE, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8").replace(_EXAMPLE, name), encoding="utf-8")
        written.append(target)
    return written
