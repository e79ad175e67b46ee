"""``python -m tests.fuzz.decode --records 2000000``: lockstep, record reader and fastavro, until they disagree.

Prints the seed of every disagreement; ``--seed`` starts there again.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from random import Random

from tests.fuzz.agreement import Disagreement, check_batch

ROWS = (1, 3, 9, 20, 60, 200)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it talks to its user


@dataclass(slots=True)
class Tally:
    records: int = 0
    refused: int = 0
    schemas: int = 0
    disagreements: int = 0

    def __str__(self) -> str:
        return (
            f"{self.records:,} records, {self.refused:,} refused, {self.schemas:,} schemas, "
            f"{self.disagreements} disagreements"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally, shown = Tally(), time.monotonic()
    while tally.records < arguments.records and not tally.disagreements:
        seed = arguments.seed + tally.schemas
        random = Random(seed)
        tally.schemas += 1
        try:
            rows, refused = check_batch(random, random.choice(ROWS))
        except Disagreement as found:
            tally.disagreements += 1
            say(f"seed {seed}: {found}")
            continue
        tally.records += rows
        tally.refused += refused
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            say(str(tally))
    say(str(tally))
    return 1 if tally.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
