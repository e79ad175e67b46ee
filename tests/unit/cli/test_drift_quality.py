"""Quality for people: what is realised, what is estimated, and that the two are not mixed up."""

from __future__ import annotations

import pytest

from tests.unit.cli.drift_samples import found, quality, report
from worker.cli.drift_quality import latest_quality, quality_section
from worker.cli.drift_views import show_found


def test_figures_side_by_side() -> None:
    """Of the latest window with labels: realised, estimated for that window, held out; and the estimate by now."""
    reports = [report(hour, 0.1) for hour in range(5)]
    reports[1]["estimated"] = {"accuracy": 0.7}
    rows = latest_quality(found(reports, [], [quality(0, 0.5), quality(1, 0.8), quality(2, 0.1, variant="shadow")]))
    assert [row.cells() for row in rows] == [
        ("accuracy", "0.8000", "0.7000", "0.9500", "0.7500"),
        ("error_rate", "0.2000", "", "0.0500", ""),
    ]


def test_without_labels_there_is_the_estimate() -> None:
    """An estimate stands in its own columns, and nothing where nothing is realised."""
    (row,) = latest_quality(found([report(0, 0.1)], []))
    assert row.cells() == ("accuracy", "", "", "", "0.7500")
    assert latest_quality(found([report(0, 0.1, judged=False)], [])) == []


def test_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of its own, in the end."""
    show_found(found([report(0, 0.1)], [], [quality(0, 0.8)]))
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["quality", "realised", "estimate then", "held out", "estimate now"] in lines
    assert ["accuracy", "0.8000", "0.7500", "0.9500", "0.7500"] in lines


def test_on_the_page() -> None:
    """Each variant has its course; what is estimated is said to be; texts are escaped."""
    shown = quality_section(
        found([report(0, 0.1)], [], [quality(0, 0.8), quality(0, 0.5, variant="<b>", note="a < b")])
    )
    assert "Estimates are made of the model&#x27;s own scores, without labels" in shown
    assert "<h3>primary" in shown
    assert "<h3>&lt;b&gt;" in shown
    assert "a &lt; b" in shown
    assert shown.count("<svg") == 2
    assert quality_section(found([], [])) == ""
