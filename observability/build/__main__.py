"""``python -m observability.build``: write every dashboard and, with ``--runbooks``, where the alerts' links lead to."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from observability.build import dead_letters, drift, models, overview, pipeline, runbooks

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARDS = (overview.board, pipeline.board, models.board, drift.board, dead_letters.board)


def dashboards() -> dict[Path, str]:
    """The text of each file."""
    return {
        FOLDER / f"{board.uid}.json": json.dumps(board.document(), indent=2) + "\n"
        for board in (make() for make in BOARDS)
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m observability.build", description="Write every dashboard.")
    parser.add_argument(
        "--runbooks",
        metavar="URL",
        help="the address of docs/operations.md, for the links in the alerts; kept if not given",
    )
    page = parser.parse_args().runbooks
    for path, text in dashboards().items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(BOARDS)} dashboards are in {FOLDER}\n")
    if page is not None:
        runbooks.ALERTS.write_text(runbooks.linked(runbooks.ALERTS.read_text("utf-8"), page), encoding="utf-8")
        sys.stdout.write(f"alerts link to {page}\n")


if __name__ == "__main__":
    main()
