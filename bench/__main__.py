"""``python -m bench [VERB]``; without a verb, ``throughput`` with its defaults."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from bench.grounds import grounds
from bench.machine import line, load, machine
from bench.report import PAGE, report
from bench.screen import say, show
from bench.verbs import VERBS

DEFAULT = "throughput"


def main(words: list[str]) -> None:
    options = _parser().parse_args(words or [DEFAULT])
    if options.verb == "report":
        report(options.files, options.page)
        return
    screen, verb, known = Console(), VERBS[options.verb], machine()
    with grounds(screen) as place:
        results = verb.measure(place, options)
    known["load_after"] = load()
    for sheet in verb.sheets(results):
        show(screen, sheet)
    say(screen, line(known))
    if options.json:
        told = {"verb": options.verb, "machine": known, "results": results}
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    shown = argparse.ArgumentDefaultsHelpFormatter
    for name, verb in VERBS.items():
        own = verbs.add_parser(name, formatter_class=shown)
        verb.add_options(own)
        own.add_argument("--json", type=Path, help="write all figures there")
    written = verbs.add_parser("report", formatter_class=shown, help="tables and charts from figures")
    written.add_argument("files", type=Path, nargs="+", metavar="FILE", help="made with --json")
    written.add_argument("--page", type=Path, default=PAGE)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
