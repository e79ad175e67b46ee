"""``python -m bench report FILES``: what was measured, as tables and charts in ``docs/benchmarks.md``.

Each verb's part stands between two marker comments, which stay; the rest of the page is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.machine import line
from bench.verbs import VERBS

PAGE = Path("docs/benchmarks.md")


def report(files: Iterable[Path], page: Path = PAGE) -> None:
    """Put each file's tables into the page and its charts beside it. Raises SystemExit for a page without markers."""
    text = page.read_text(encoding="utf-8")
    folder = page.with_suffix("")
    for file in files:
        told = json.loads(file.read_text(encoding="utf-8"))
        verb = VERBS[told["verb"]]
        drawn = verb.charts(told["results"])
        folder.mkdir(exist_ok=True)
        for name, chart in drawn.items():
            (folder / f"{name}.svg").write_text(chart, encoding="utf-8")
        tables = [sheet.markdown() for sheet in verb.sheets(told["results"])]
        text = _placed(
            text, told["verb"], "\n".join([f"On {line(told['machine'])}.\n", *tables, _pictures(folder, drawn)])
        )
    page.write_text(text, encoding="utf-8")


def _placed(page: str, verb: str, part: str) -> str:
    begin, end = f"<!-- begin {verb} -->", f"<!-- end {verb} -->"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        sys.exit(f"error: the page has no markers {begin} and {end}")
    return found.sub(lambda _: f"{begin}\n\n{part}\n{end}", page)


def _pictures(folder: Path, drawn: Mapping[str, str]) -> str:
    return "".join(f"![{_title(chart)}]({folder.name}/{name}.svg)\n\n" for name, chart in drawn.items())


def _title(chart: str) -> str:
    found = re.search("<title>(.*?)</title>", chart)
    assert found is not None  # every chart has one
    return found.group(1)
