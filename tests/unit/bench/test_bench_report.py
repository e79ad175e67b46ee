"""From figures to a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench import curves, throughput
from bench.contenders.meter import STAGES
from bench.figures import quartiles, slope, spread
from bench.report import report
from bench.screen import Sheet
from bench.svg import bar_chart, line_chart, stacked

MACHINE = {
    "cores": 2,
    "memory_gb": 8,
    "processor": "Sample",
    "python": "3.11.0",
    "worker": "1",
    "kafka": "4.3.0",
    "libraries": {"numpy": "2.0"},
    "librdkafka": "2.16.0",
    "load_before": 0.1,
    "load_after": 1.5,
}


def run(rate: float, **stages: float) -> dict[str, float]:
    common = {"rate": rate, "cpu_us": 5.0, "peak_mb": 100.0, "first_seconds": 1.5, "batch_records": 1_000.0}
    return common | {f"{stage}_us": 1.0 for stage in STAGES} | stages


def results() -> dict[str, Any]:
    common = {"mode": "exactly-once", "stream": "23 fields"}
    ceiling = common | {"title": "pass-through", "contender": "pass-through", "runs": [run(200_000), run(100_000)]}
    worker = common | {"title": "worker, logistic", "contender": "worker", "runs": [run(75_000), run(75_000)]}
    return {"rounds": 2, "events": 10, "rows": [ceiling, worker]}


def test_the_ratio_is_to_the_median_ceiling() -> None:
    """A worker at half the median of pass-through is shown at 0.50 of it."""
    sheet = throughput.sheets(results())[0]
    row = dict(zip(sheet.columns, sheet.rows[1], strict=True))
    assert row["of pass-through"] == "0.50"
    assert row["events/s"] == "75,000"


def test_the_rest_is_what_no_stage_took() -> None:
    """Wall time of an event less its stages: 10 µs at 100,000 a second, less six stages of 1 µs."""
    told = results()
    told["rows"][1]["runs"] = [run(100_000)]
    assert throughput.sheets(told)[1].rows[1][-1] == "4.00"


def test_a_page_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    """Only what stands between the markers of the verb is replaced, as often as it is reported."""
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text("above\n<!-- begin throughput -->\nold\n<!-- end throughput -->\nbelow\n", encoding="utf-8")
    figures.write_text(json.dumps({"verb": "throughput", "machine": MACHINE, "results": results()}), encoding="utf-8")
    report([figures], page)
    once = page.read_text(encoding="utf-8")
    report([figures], page)
    assert page.read_text(encoding="utf-8") == once
    assert once.startswith("above\n")
    assert once.endswith("\nbelow\n")
    assert "old" not in once
    assert "| worker, logistic | exactly-once | 23 fields | 75,000 |" in once
    ET.fromstring((tmp_path / "page" / "throughput.svg").read_text(encoding="utf-8"))


def test_a_page_without_markers_is_refused(tmp_path: Path) -> None:
    """A page that has no place for the figures is not written to."""
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text("nothing", encoding="utf-8")
    figures.write_text(json.dumps({"verb": "throughput", "machine": MACHINE, "results": results()}), encoding="utf-8")
    with pytest.raises(SystemExit, match="no markers"):
        report([figures], page)


def test_a_curve_is_drawn_in_cost() -> None:
    """A rate of 100,000 is drawn as 10 µs an event, for every contender."""
    points = [{"x": x, "contender": c, "runs": [run(100_000)]} for x in (10, 100) for c in curves.CONTENDERS]
    told = {"rounds": 1, "events": 10, "curves": {"batch": points}}
    assert [row[2] for row in curves.sheets(told)[0].rows] == ["10.00"] * len(points)
    chart = ET.fromstring(curves.charts(told)["curve-batch"])
    assert len(chart.findall("{*}polyline")) == len(curves.CONTENDERS)
    assert len(chart.findall("{*}circle")) == len(points)


def test_lines_stay_in_the_picture() -> None:
    """Every point is within the chart, the highest at or below the top tick."""
    chart = ET.fromstring(line_chart("T", "x", "y", {"a & b": [(1, 1), (1_000, 80)]}, log=True))
    circles = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in chart.findall("{*}circle")]
    assert circles[0] == (80.0, 310.0)
    assert circles[1][0] == 680.0
    assert 50 <= circles[1][1] < 110


def test_bars_are_in_proportion() -> None:
    """Half the value is half the width."""
    chart = ET.fromstring(bar_chart("T", [("a", 10, 9, 11), ("b", 5, 5, 5)]))
    widths = [float(bar.attrib["width"]) for bar in chart.findall("{*}rect")[1:]]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.1)


def test_charts_stand_one_below_the_other() -> None:
    """Each in a place of its own, as high as the ones above it together."""
    chart = line_chart("T", "x", "y", {"a": [(0, 1), (1, 2)]})
    picture = ET.fromstring(stacked(chart, chart, chart))
    assert [float(one.attrib["y"]) for one in picture.findall("{*}svg")] == [0, 360, 720]
    assert picture.attrib["viewBox"] == "0 0 720 1080"


def test_figures_of_several_runs() -> None:
    """The quartiles hold the middle half; the slope is that of the line."""
    runs = [{"rate": float(rate)} for rate in (1, 2, 3, 4, 100)]
    assert quartiles(runs, "rate") == (2, 4)
    assert spread(runs, "rate") == "2-4"
    assert slope([0, 1, 2, 3], [5, 7, 9, 11]) == pytest.approx(2)


def test_a_sheet_in_markdown() -> None:
    """Labels to the left, numbers to the right."""
    assert Sheet("T", ("a", "b"), [("x", "1")]).markdown() == "**T**\n\n| a | b |\n| --- | --: |\n| x | 1 |\n"
