"""``prediction-worker broker``: a real Apache Kafka for development, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from worker.errors import ConfigurationError


class _Stop(BaseException):
    """SIGINT or SIGTERM has come."""


def broker(
    port: Annotated[
        int, typer.Option(envvar="WORKER_BROKER_PORT", help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 9092,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Keep topics and records in this directory; without it they are gone at the end.", file_okay=False
        ),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="Create a topic at start, as NAME or NAME:PARTITIONS. Can be given several times."),
    ] = None,
    heap_mb: Annotated[int, typer.Option(help="The largest Java heap, in MB.", min=128)] = 512,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a broker setting, as KEY=VALUE. Can be given several times."),
    ] = None,
) -> None:
    """Start a real Apache Kafka for development; Ctrl-C ends it.

    Needs neither Docker nor Java: it is fetched once (43 MB), and listens on this machine only.

    For example:

        prediction-worker broker

        prediction-worker broker --topic flights:6 --topic flights.labels:6

        prediction-worker broker --port 19092 --data ~/kafka --set log.retention.ms=604800000
    """
    from worker.broker.apache import ApacheKafka
    from worker.broker.topics import create_topics

    topics, properties = _topics(topic or []), _properties(setting or [])
    kafka = ApacheKafka(
        port=port,
        data_dir=data.expanduser() if data else None,
        heap_mb=heap_mb,
        properties=properties,
        announce=lambda line: typer.echo(line, err=True),
    )
    try:
        with _stopped_by_signals(), kafka:
            create_topics(kafka.bootstrap, topics)
            _say_hello(kafka.bootstrap, data, topics)
            kafka.wait()
    except _Stop:
        typer.echo("Apache Kafka has been stopped.")


def _say_hello(bootstrap: str, data: Path | None, topics: dict[str, int]) -> None:
    typer.echo(f"Apache Kafka is listening on {bootstrap}")
    for name, partitions in topics.items():
        typer.echo(f"  topic {name}, {partitions} {'partition' if partitions == 1 else 'partitions'}")
    typer.echo(f"  data in {data}" if data else "  data is removed at the end (--data keeps it)")
    typer.echo("Ctrl-C stops it.")


def _topics(texts: list[str]) -> dict[str, int]:
    """``flights:6`` and ``flights`` (one partition); raises ConfigurationError with every text that is neither."""
    parts = {text: text.partition(":") for text in texts}
    wrong = [text for text, (name, colon, count) in parts.items() if not name or (colon and not _positive(count))]
    if wrong:
        raise ConfigurationError(
            [f"--topic {text!r} is not NAME or NAME:PARTITIONS" for text in wrong], hint="for example --topic flights:6"
        )
    return {name: int(count or 1) for name, _, count in parts.values()}


def _positive(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0


def _properties(texts: list[str]) -> dict[str, str]:
    parts = {text: text.partition("=") for text in texts}
    wrong = [text for text, (key, equals, _) in parts.items() if not key or not equals]
    if wrong:
        raise ConfigurationError([f"--set {text!r} is not KEY=VALUE" for text in wrong])
    return {key: value for key, _, value in parts.values()}


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise ``_Stop`` wherever the main thread is; a second one cuts the stopping short."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stop

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
