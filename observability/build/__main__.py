"""``python -m observability.build``: write every dashboard."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from observability.build import dead_letters, drift, models, overview, pipeline

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARDS = (overview.board, pipeline.board, models.board, drift.board, dead_letters.board)


def dashboards() -> dict[Path, str]:
    """The text of each file."""
    return {
        FOLDER / f"{board.uid}.json": json.dumps(board.document(), indent=2) + "\n"
        for board in (make() for make in BOARDS)
    }


def main() -> None:
    for path, text in dashboards().items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(BOARDS)} dashboards are in {FOLDER}\n")


if __name__ == "__main__":
    main()
