"""A process that judges hostile records under limits on its memory and its CPU time; prints what became of them.

Run as ``python -m tests.component.bad_input.confined NAME SIZE``, or with ``reader`` as the size.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Literal, cast

from tests.component.bad_input.bed import Bed, Size, verdicts
from tests.component.bad_input.hostile import ALL
from worker.avro.schema import SchemaRefused, parse_schema

# Beyond what the process has before it meets them: a fixed room, and a few copies of the bytes that it is given.
ROOM_BYTES = 96_000_000
COPIES = 14
CPU_SECONDS = 20
PAGE_BYTES = resource.getpagesize()
_MANY_COPIES = 2


def address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * PAGE_BYTES


def confine(given_bytes: int) -> None:
    """Allow so much more than there is now; what asks for more gets a MemoryError, and what runs on is killed."""
    most = address_space_bytes() + ROOM_BYTES + COPIES * given_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def main(name: str, size: Size) -> None:
    hostile = ALL[name]()
    with tempfile.TemporaryDirectory() as folder:
        on = hostile.bed(partial(Bed, Path(folder)))
        good, bad = hostile.neighbour(on), hostile.records(on)
        on.among(good, [good.value], size)  # everything is imported, and the model's threads have started
        repeated = 1 if size == "few" else _MANY_COPIES
        # A batch holds only some of them when there are many, and never more than all.
        confine(repeated * sum(len(cast("bytes", value)) for value in bad))
        before = resource.getrusage(resource.RUSAGE_SELF)
        found = verdicts(on.among(good, bad, size))
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        sys.stdout.write(json.dumps({"verdicts": found, "expected": list(hostile.expected), "cpu_seconds": cpu}))


def refuse_as_reader(name: str) -> None:
    """Give the worker each schema as its own, instead of as a writer's."""
    texts = list((ALL[name]().schemas or {}).values())
    confine(sum(map(len, texts)))
    for text in texts:
        try:
            parse_schema(text)
        except SchemaRefused:
            continue
        raise AssertionError(f"taken: {text[:200]}")


if __name__ == "__main__":
    if sys.argv[2] == "reader":
        refuse_as_reader(sys.argv[1])
    else:
        main(sys.argv[1], cast("Literal['few', 'many']", sys.argv[2]))
