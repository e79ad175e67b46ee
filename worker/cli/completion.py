"""``prediction-worker completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

_PROGRAM, _VARIABLE = "prediction-worker", "_PREDICTION_WORKER_COMPLETE"


class Shell(enum.StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(help="The shell that is to read it.")]
) -> None:
    """Print a script that lets a shell complete commands and options.

    For example:

        prediction-worker completion bash > ~/.local/share/bash-completion/completions/prediction-worker

        prediction-worker completion zsh > ~/.zfunc/_prediction-worker

        prediction-worker completion fish > ~/.config/fish/completions/prediction-worker.fish
    """
    # Typer's own script: at the cursor it asks the program itself what fits.
    from typer.completion import shell_complete

    shell_complete(context.find_root().command, {}, _PROGRAM, _VARIABLE, f"source_{shell.value}")
