"""What all tests share: the broker that they run on, topics of their own, and the options of the command line."""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.support import kafka as kafka_support
from tests.support.brokers import NO_KAFKA, KafkaUnderTest, NoKafkaError, any_kafka, no_kafka

NEEDS_KAFKA = frozenset({"kafka", "apache_kafka", "secured"})


class MakeTopic(Protocol):
    def __call__(self, *, partitions: int = 1, name_prefix: str = "test", config: dict[str, str] | None = None) -> str:
        """The name of a new topic that no other test has."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-long", action="store_true", help="run the chaos tests as a campaign, not in short form")
    parser.addoption(
        "--observability", action="store_true", help="run those on Prometheus; without it, what can't be run is skipped"
    )
    parser.addoption("--compose", action="store_true", help="run Docker Compose; `make compose-test` says where")
    parser.addoption("--kubernetes", action="store_true", help="run the tests that start a Kubernetes (make k8s-test)")


def pytest_configure() -> None:
    # A shell lets its background jobs ignore Ctrl-C, and whatever they start would, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not NEEDS_KAFKA.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that is run within a test sends all logs to its own stream, which ends with it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.fixture(scope="session")
def chaos_long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--chaos-long"))


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaUnderTest]:
    """A real Kafka, shared by all tests of the session."""
    with contextlib.ExitStack() as stack:
        try:
            found, reason = stack.enter_context(any_kafka()), ""
        except NoKafkaError as error:
            found, reason = None, str(error)
        if found is None:
            no_kafka(reason)
        yield found


@pytest.fixture(scope="session")
def make_topic(kafka: KafkaUnderTest) -> MakeTopic:
    return functools.partial(kafka_support.make_topic, kafka.bootstrap)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # A skip's is (path, line, "Skipped: reason"), from another process as from this one.
    skipped = (str(report.longrepr[2]) for report in terminalreporter.getreports("skipped"))
    if reason := next((text.removeprefix("Skipped: ") for text in skipped if NO_KAFKA in text), None):
        terminalreporter.write_line(f"WARNING: nothing was tested on a real Kafka, {reason}", yellow=True, bold=True)
