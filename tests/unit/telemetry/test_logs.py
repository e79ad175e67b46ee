"""Log lines for machines and for people; neither can be forged."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from worker.telemetry.logs import configure_logging, escaped, kafka_logger

NASTY = "a\nFAKE INFO line\r\x1b[31mred\x00\x7f\u2028\u202e\x9b end"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(capture=False)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def only_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_json_line(stream: io.StringIO) -> None:
    """Time in UTC, level, logger, message and the extra fields, typed."""
    configure_logging(log_format="json", level="info", stream=stream)
    logging.getLogger("worker.x").info("took %d", 3, extra={"lag_records": 7, "ratio": 0.5, "last": None})
    line = only_line(stream)
    assert line.pop("ts").endswith("+00:00")
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "level": "info",
        "logger": "worker.x",
        "message": "took 3",
        "lag_records": 7,
        "ratio": 0.5,
        "last": None,
    }


def test_extra_fields_do_not_replace_ours(stream: io.StringIO) -> None:
    """A field named like one of ours does not pass for it."""
    configure_logging(log_format="json", level="info", stream=stream)
    logging.getLogger("worker").info("true", extra={"level": "false", "ts": "false"})
    assert only_line(stream)["level"] == "info"
    assert only_line(stream)["ts"] != "false"


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_no_line_can_be_forged(stream: io.StringIO, log_format: Any) -> None:
    """Line ends, terminal escapes and direction marks in a message or a field come out as escapes."""
    configure_logging(log_format=log_format, level="info", stream=stream)
    logging.getLogger("worker").info("%s", NASTY, extra={"field": NASTY, "na\nme": 1})
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_no_line_can_be_forged_by_an_exception(stream: io.StringIO, log_format: Any) -> None:
    """An exception's own text can't start a line at the margin either."""
    configure_logging(log_format=log_format, level="info", stream=stream)
    logging.getLogger("worker").error("failed", exc_info=ValueError(NASTY))
    first, *rest = stream.getvalue().splitlines()
    assert first.isprintable()
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert "ValueError: a" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_bytes_are_never_shown(stream: io.StringIO, log_format: Any) -> None:
    """What a record holds is bytes; of a field with bytes only their number is told."""
    configure_logging(log_format=log_format, level="info", stream=stream)
    logging.getLogger("worker").info("x", extra={"value": b"secret", "view": memoryview(b"secret")})
    assert "secret" not in stream.getvalue()
    assert stream.getvalue().count("<6 bytes>") == 2


def test_numbers_that_json_lacks(stream: io.StringIO) -> None:
    """NaN and infinity come out as text, so that every line is valid JSON."""
    configure_logging(log_format="json", level="info", stream=stream)
    logging.getLogger("worker").info("x", extra={"a": float("nan"), "b": float("inf")})
    assert (only_line(stream)["a"], only_line(stream)["b"]) == ("nan", "inf")


def test_pretty_line_is_one_line_however_long(stream: io.StringIO) -> None:
    """A long line is not wrapped, and brackets are not taken for markup."""
    configure_logging(log_format="pretty", level="info", stream=stream)
    logging.getLogger("worker").warning("[red]%s[/red]", "x" * 500, extra={"topic": "t"})
    (line,) = stream.getvalue().splitlines()
    assert "WARNING worker [red]xxx" in line
    assert line.endswith("[/red] topic=t")


@pytest.mark.parametrize(("stream_class", "pretty"), [(Terminal, True), (io.StringIO, False)])
def test_auto(stream_class: type[io.StringIO], pretty: bool) -> None:
    """People get pretty lines on a terminal, everything else gets JSON."""
    stream = stream_class()
    configure_logging(log_format="auto", level="info", stream=stream)
    logging.getLogger("worker").info("x")
    assert stream.getvalue().startswith("{") != pretty


def test_level(stream: io.StringIO) -> None:
    """What is below the level is not written."""
    configure_logging(log_format="json", level="warning", stream=stream)
    logging.getLogger("worker").info("quiet")
    logging.getLogger("worker").warning("loud")
    assert only_line(stream)["message"] == "loud"


def test_configured_twice_is_written_once(stream: io.StringIO) -> None:
    """The last configuration holds alone."""
    configure_logging(log_format="json", level="info", stream=io.StringIO())
    configure_logging(log_format="json", level="info", stream=stream)
    logging.getLogger("worker").info("x")
    assert only_line(stream)["message"] == "x"


def test_librdkafka_and_warnings_come_the_same_way(stream: io.StringIO) -> None:
    """The client's log lines and Python's warnings are JSON lines like ours."""
    configure_logging(log_format="json", level="info", stream=stream)
    kafka_logger().log(logging.WARNING, "%s [%s]", "FAIL", "thrd:main")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)  # pytest's own catching has replaced the hook
        warnings.warn("old", UserWarning, stacklevel=1)
    kafka_line, warning_line = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (kafka_line["logger"], kafka_line["message"]) == ("kafka", "FAIL [thrd:main]")
    assert (warning_line["logger"], "UserWarning: old" in warning_line["message"]) == ("py.warnings", True)


def test_printable_text_is_left_alone() -> None:
    """Letters of any script are shown as they are."""
    assert escaped("Zürich 東京 ok") == "Zürich 東京 ok"
    assert escaped("a\nb") == "a\\nb"
