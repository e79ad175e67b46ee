"""Runs one contender and prints its figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from bench.contenders.by_hand import batch_loop, naive_loop
from bench.contenders.copying import copying
from bench.contenders.meter import Meter
from bench.contenders.ours import own_edge, worker
from bench.contenders.run import Run

CONTENDERS: dict[str, Callable[[Run, Meter], None]] = {
    "pass-through": copying,
    "own edge": own_edge,
    "worker": worker,
    "batch loop": batch_loop,
    "naive loop": naive_loop,
}


def main() -> None:
    run = Run.from_json(sys.argv[1])
    meter = Meter(run)
    CONTENDERS[run.contender](run, meter)
    print(json.dumps({"figures": meter.figures()}), flush=True)


if __name__ == "__main__":
    main()
