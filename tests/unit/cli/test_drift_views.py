"""What is said of drift on a terminal and in a pipe."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.drift_samples import alert, found, report
from worker.cli.drift_views import json_line, show_found, show_json, summary


def test_series_and_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a line a series, what has drifted first, then a line an episode, by its first and its latest alert."""
    alerts = [alert("opened", 1), alert("updated", 2), alert("closed", 3)]
    show_found(found([report(0, 0.1), report(1, 0.5)], alerts))
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["amount", "distribution", "0.5000", "0.2000", "2.50", "yes", "1 of 2"]
    assert lines[2][:2] == ["country", "unseen"]
    assert lines[4][1:7] == [
        *("over", "major", "amount", "distribution"),
        *("1970-01-01T01:00:00.000Z", "1970-01-01T04:00:00.000Z"),
    ]
    assert lines[4][9] == "above 20, 0 to 10"


def test_episodes_by_their_names() -> None:
    """An episode is open until an alert says that it is over."""
    episodes = found([], [alert("opened", 1, "a"), alert("opened", 1, "b"), alert("closed", 2, "a")]).episodes()
    assert [(e.opened["episode"], e.is_open) for e in episodes] == [("a", False), ("b", True)]


def test_summary() -> None:
    """One line says what was looked at, what was left out, and what is open."""
    assert summary(found([], [])) == "fraud 1.0.0: no window has been reported"
    told = summary(found([report(0, 0.1), report(1, 0.1, judged=False)], [alert("opened", 1)]))
    assert told == (
        "fraud 1.0.0: 2 windows from 1970-01-01T00:00:00.000Z to 1970-01-01T02:00:00.000Z, 1 of them not judged; "
        "200 records, 1 late; 1 episode open"
    )


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Every report and alert is an object in a line, as it was published."""
    show_json(found([report(0, 0.1)], [alert("opened", 1)]))
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert objects == [{"kind": "report", **report(0, 0.1)}, {"kind": "alert", **alert("opened", 1)}]


def test_no_json_but_json() -> None:
    """What is no number is null, however deep it lies."""
    assert (
        json_line({"a": float("inf"), "b": [{"c": float("nan"), "d": 1.5}]})
        == '{"a": null, "b": [{"c": null, "d": 1.5}]}'
    )
