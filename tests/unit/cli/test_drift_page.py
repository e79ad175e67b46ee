"""The page on drift: whole in itself, and true to what was published."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.unit.cli.drift_samples import alert, found, part, report
from worker.cli.drift_charts import Point, histogram, time_line
from worker.cli.drift_page import page
from worker.cli.texts import briefly

VOID = {"meta"}


class Tree(HTMLParser):
    """Fails on a tag that is closed in the wrong place, or not at all; keeps attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def classes(self, tag: str) -> list[str]:
        return [attributes.get("class") or "" for name, attributes in self.tags if name == tag]


def test_it_needs_nothing_besides() -> None:
    """Nothing is loaded and nothing runs, and the page itself forbids both."""
    text = page(found([report(0, 0.1), report(1, 0.5)], [alert("opened", 1)]))
    tree = Tree(text)
    assert {tag for tag, _ in tree.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert [
        name for _, attributes in tree.tags for name in attributes if name in ("src", "href") or name[:2] == "on"
    ] == []
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'" in text


def test_windows_and_what_drifted() -> None:
    """A dot a window and series, larger ones where it drifted; the histogram of a series that drifted is open."""
    tree = Tree(page(found([report(0, 0.1), report(1, 0.5), report(2, 0.6)], [])))
    assert tree.classes("circle").count("drifted") == 2
    assert tree.classes("circle").count("quiet") == 4
    assert any("open" in attributes for tag, attributes in tree.tags if tag == "details")
    assert tree.classes("rect").count("window") == tree.classes("rect").count("reference") == 4


def test_texts_are_escaped() -> None:
    """What stands in the data can be no tag: names, notes and categories are texts."""
    bad = report(0, 0.5)
    bad["note"] = "<script>alert(1)</script>"
    bad["series"] = [part("country", "distribution", 0.5, (2, 50, 50))]
    tree = Tree(page(found([bad], [alert("opened", 0, "<b>")])))
    assert "script" not in {tag for tag, _ in tree.tags}
    assert "<fr>" in tree.texts
    assert "<script>alert(1)</script>" in tree.texts


def test_another_profile() -> None:
    """Counts by bins of another profile are not drawn against this one."""
    other = report(0, 0.5) | {"profile_digest": "cd" * 32}
    assert Tree(page(found([other], []))).classes("rect") == []


@pytest.mark.parametrize("reports", [[], [report(0, 0.1, judged=False)]], ids=["no window", "none judged"])
def test_nothing_to_show(reports: list[dict[str, object]]) -> None:
    """Without a window that was judged the page says so."""
    assert "No window has been judged." in Tree(page(found(reports, []))).texts


def test_a_line_says_from_where_to_where() -> None:
    """The first and the last window are named below the line, and the upper end of the axis beside it."""
    points = [
        Point(name, value, 0.25, drifted=False) for name, value in (("2024-01-01", 0.5), ("b", 0.1), ("<c>", 0.2))
    ]
    assert [text for text in Tree(time_line(points)).texts if "threshold" not in text] == ["0.5", "2024-01-01", "<c>"]


@pytest.mark.parametrize(
    ("time_ms", "said"),
    [
        (0, "1970-01-01"),
        (5_400_000, "1970-01-01 01:30"),
        (5_401_250, "1970-01-01 01:30:01.250"),
        (10**17, "1" + "0" * 17),
    ],
)
def test_times_are_as_short_as_they_can_be(time_ms: int, said: str) -> None:
    """A window of a day is named by its date, and nothing that differs is left out."""
    assert briefly(time_ms) == said


def test_a_line_of_one_window() -> None:
    """One window is a dot, zeros are no reason to divide by one."""
    Tree(time_line([Point("w", 0.0, 0.0, drifted=False)]))


def test_bars_are_shares() -> None:
    """A bar is as long as its bin's share; a bin that is empty on both sides has none."""
    tree = Tree(histogram(["a", "b", "c"], [50, 50, 0], [0, 300, 0]))
    widths = [attributes["width"] for tag, attributes in tree.tags if tag == "rect"]
    assert widths == ["200.0", "0.0", "200.0", "400.0"]
