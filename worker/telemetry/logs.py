"""Logging: JSON lines for machines, coloured lines for people.

What is logged may come from outside (a broker's error text, a field name). So every line that a log shows is one that
we wrote: whatever could start a new line, move a terminal's cursor or change its direction is escaped.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Literal, TextIO

from rich.console import Console
from rich.text import Text

LogFormat = Literal["auto", "json", "pretty"]
LogLevel = Literal["debug", "info", "warning", "error"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STYLES = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}


def configure_logging(*, log_format: LogFormat, level: LogLevel, stream: TextIO) -> None:
    """Send everything that is logged, Python's warnings included, to ``stream``; replaces what was configured before.

    ``auto`` is pretty on a terminal, else JSON.
    """
    pretty = log_format == "pretty" or (log_format == "auto" and stream.isatty())
    handler = PrettyHandler(stream) if pretty else _json_handler(stream)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def kafka_logger() -> logging.Logger:
    """What the Kafka clients take as ``logger=``, so that librdkafka's lines come the same way as ours."""
    return logging.getLogger("kafka")


def escaped(text: str) -> str:
    """The text on one line, as it would stand in a Python literal wherever it is not printable."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts (ISO 8601, UTC), level, logger, pid, message, the extra fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: _plain(value) for name, value in _extra(record).items()}
        line: dict[str, object] = fields | {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": escaped(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = [escaped(text) for text in _exception_lines(record)]
        return json.dumps(line, allow_nan=False)


class PrettyHandler(logging.Handler):
    """``12:00:01 INFO logger message name=value``; a traceback follows indented, so that it can't pose as a line."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._console.print(self._line(record))
        except Exception:  # noqa: BLE001 - logging's own contract: a log line must never end the program
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> Text:
        line = Text.assemble(
            (datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S"), "dim"),
            " ",
            (f"{record.levelname:<7}", _STYLES.get(record.levelname, "")),
            " ",
            (record.name, "cyan"),
            " ",
            escaped(record.getMessage()),
        )
        for name, value in _extra(record).items():
            line.append(f" {escaped(name)}=", "dim").append(str(_plain(value)))
        if record.exc_info:
            line.append("".join(f"\n    {escaped(text)}" for text in _exception_lines(record)), "dim")
        return line


def _json_handler(stream: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    return handler


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _plain(value: object) -> object:
    """A field's value; bytes are what a record holds, so only their number is told."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:  # finite: JSON has no other numbers
        return value
    return escaped(str(value))


def _exception_lines(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    return "".join(traceback.format_exception(error)).splitlines() if error else []
