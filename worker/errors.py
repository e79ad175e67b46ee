"""Errors, named by whose fault they are; the class decides what happens next.

::

    WorkerError
      ConfigurationError     ours, at start-up      every problem printed, exit 3, nothing polled
      ModelError             the model's            commit nothing, exit 4
      DeadLetterLimit        the stream's, en masse commit nothing past it, exit 7, and stay stopped over restarts
      TransportError         the world's            commit nothing, exit 5 for a restart
        DeliveryAborted      the world's, passing   rewind and go on; five in a row become a TransportError
        SchemaUnavailable    the registry's         rewind, hold, and ask again: for as long as it takes
        Fenced               another process's      exit 6: it has taken our transactional id over
      StuckError             a call never returned  exit 8 for a restart
    anything else            a bug                  commit nothing, crash with a traceback, exit 1

A record's own fault is no exception: it is a ``Refusal``, a value that becomes a dead letter (``records``).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """What the process's exit status says; documented in ``docs/guarantees.md``."""

    OK = 0
    BUG = 1
    USAGE = 2
    CONFIGURATION = 3
    MODEL = 4
    TRANSPORT = 5
    FENCED = 6
    DEAD_LETTER_LIMIT = 7
    STUCK = 8


class WorkerError(Exception):
    """Anything the worker stops for, with a way out for whoever reads it."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(WorkerError):
    """Settings, schema, topics or bundle do not fit together; carries every problem found."""

    exit_code = ExitCode.CONFIGURATION

    def __init__(self, problems: Sequence[str] | str, *, hint: str | None = None) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems), hint=hint)


class ModelError(WorkerError):
    """The bundle can't be trusted or loaded, or the model fails on every row."""

    exit_code = ExitCode.MODEL


class DeadLetterLimit(WorkerError):  # noqa: N818 - a limit reached, not an error of ours
    """More records were refused than the limits allow."""

    exit_code = ExitCode.DEAD_LETTER_LIMIT


class TransportError(WorkerError):
    """The broker could not be reached, or refused what must not be refused."""

    exit_code = ExitCode.TRANSPORT


class DeliveryAborted(TransportError):  # noqa: N818 - a passing state
    """The batch was not committed (exactly once: nothing of it is visible either): rewind and read it again.

    ``earlier``: nor was the one before it, whose delivery had returned.
    """

    def __init__(self, message: str, *, earlier: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.earlier = earlier


class SchemaUnavailable(TransportError):  # noqa: N818 - a passing state
    """By which schema a record was written can't be said now: read it again, not sooner than in ``retry_seconds``."""

    def __init__(self, message: str, *, retry_seconds: float = 0.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class Fenced(TransportError):  # noqa: N818 - Kafka's own word
    """Another producer with our transactional id has taken over."""

    exit_code = ExitCode.FENCED


class StuckError(WorkerError):
    """A call that must return did not."""

    exit_code = ExitCode.STUCK
