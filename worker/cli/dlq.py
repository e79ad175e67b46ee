"""Dead letters."""

import typer

app = typer.Typer()
