"""The value that everything here comes to."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from worker.errors import ConfigurationError, WorkerError


class Level(enum.StrEnum):
    """ERROR: the worker would not start, or would stop. WARNING: it works, and some day will hurt."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of text each; ``fix`` says what to do, and is empty where all is well."""

    check: str
    level: Level
    text: str
    fix: str = ""


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, fix: str) -> Finding:
    return Finding(check, Level.WARNING, text, fix)


def error(check: str, text: str, fix: str) -> Finding:
    return Finding(check, Level.ERROR, text, fix)


def of_error(check: str, found: WorkerError) -> list[Finding]:
    """What would have stopped the worker, a finding a problem."""
    problems = found.problems if isinstance(found, ConfigurationError) else (found.message,)
    return [error(check, problem, found.hint or "see the message") for problem in problems]
