"""docs/security.md lists exactly the rights that the program asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.architecture.source import ROOT
from worker.kafka import needed_rights as needed
from worker.kafka.rights import Right
from worker.settings import Settings

PAGE = (ROOT / "docs/security.md").read_text("utf-8")
Row = tuple[str, str, str]


def settings(**sections: Any) -> Settings:
    given: dict[str, Any] = {
        "kafka": {"bootstrap": "broker:9092", "group": "GROUP"},
        "topics": {"input": "INPUT"},
        "event": {"schema": "event.avsc"},
        "model": {"bundle": "bundle"},
    }
    return Settings(**(given | sections))


WITHOUT, WITH = settings(), settings(labels={"horizon_seconds": 60})


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table_after(words: str) -> list[list[str]]:
    """The rows of the first table that comes behind these words."""
    lines = PAGE[PAGE.index(words) :].splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("|"))
    end = next(number for number, line in enumerate(lines) if number > begin and not line.startswith("|"))
    return [cells(line) for line in lines[begin + 2 : end]]


def spread(kind: str, names: str, operations: str) -> Iterator[Row]:
    """A row may name several resources, and several operations on each."""
    for name in re.findall(r"`([^`]+)`", names):
        for operation in operations.split(", "):
            yield kind, name, operation


def rows(table: list[list[str]]) -> set[Row]:
    return {row for kind, names, operations, _ in table for row in spread(kind, names, operations)}


def shown(rights: tuple[Right, ...]) -> set[Row]:
    """In the words of the page."""
    return {
        (
            right.kind,
            right.name.replace("INPUT", "<input>").replace("GROUP", "<group>"),
            right.operation.name.replace("_", " ").title().replace(" ", ""),
        )
        for right in rights
    }


def test_of_the_worker() -> None:
    """The table of ``run``; at least once, the transactional id is not asked for."""
    assert rows(table_after("**`run`**")) == shown(needed.worker_rights(WITHOUT, drift=True))
    fewer = needed.worker_rights(settings(delivery={"mode": "at-least-once"}), drift=False)
    assert shown(needed.worker_rights(WITHOUT, drift=True)) - shown(fewer) == {
        ("topic", "<input>.drift-sketches", "Write"),
        ("transactional id", "<group>-", "Write"),
    }


def test_of_the_monitor() -> None:
    """The table of ``monitor``, and that of what it needs besides where there are labels."""
    assert rows(table_after("**`monitor`**")) == shown(needed.monitor_rights(WITHOUT))
    besides = shown(needed.monitor_rights(WITH)) - shown(needed.monitor_rights(WITHOUT))
    assert rows(table_after("with labels besides")) == besides


def test_of_the_joiner() -> None:
    """The table of ``join``."""
    assert rows(table_after("**`join`**")) == shown(needed.joiner_rights(WITH))


def test_of_the_commands() -> None:
    """The table of people's commands."""
    letters, stopped = needed.letters_rights(WITH), needed.stopped_rights(WITH)
    commands = {
        "inspect": needed.inspect_rights(WITH),
        "drift report": needed.report_rights(WITH),
        "drift replay": needed.drift_replay_rights(WITH),
        "dlq list": letters + stopped,
        "dlq show": letters,
        "dlq replay --dry-run": letters,
        "dlq replay": needed.replay_rights(WITH),
        "dlq resume": needed.resume_rights(WITH),
        "topics create": needed.created_topics_rights(WITH) + needed.widened_topics_rights(WITH),
        "top": needed.top_rights(WITH)
        + needed.top_letters_rights(WITH)
        + needed.top_alerts_rights(WITH)
        + needed.top_quality_rights(WITH)
        + needed.top_joiners_rights(WITH),
        "doctor": needed.doctor_rights(WITH, drift=True),
    }
    listed: dict[str, set[Row]] = {}
    for named, *row in table_after("**People's commands**"):
        for command in re.findall(r"`([^`]+)`", named):
            listed.setdefault(command, set()).update(rows([row]))
    assert listed == {command: shown(rights) for command, rights in commands.items()}
