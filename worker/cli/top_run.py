"""Looks at the group turn by turn, and draws what it saw."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import typer
from rich.console import Console
from rich.live import Live

from worker.avro.any_record import Unreadable
from worker.bootstrap_outputs import output_reader
from worker.cli.texts import on_terminal
from worker.cli.top_state import LatestQuality, OpenEpisodes, RecentLetters, Snapshot, behind, rows_of, total_rate
from worker.cli.top_views import as_json, lines, picture
from worker.errors import ConfigurationError, SchemaUnavailable, TransportError
from worker.kafka.config import admin_config
from worker.kafka.group_watch import GroupLook, GroupWatch
from worker.kafka.joiner_watch import JoinerWatch
from worker.kafka.letters import letter_of
from worker.kafka.needed_rights import (
    Rights,
    looking_group,
    top_alerts_rights,
    top_joiners_rights,
    top_letters_rights,
    top_quality_rights,
    top_rights,
)
from worker.kafka.rights import check_rights, lacking, missing_rights
from worker.kafka.tail import TopicTail
from worker.settings import Settings
from worker.telemetry.scrape import Scraped, quantile, scrape

# So many letters of each partition are read at the start; a topic full of them must not delay the first picture.
_FIRST_LETTERS = 5_000
_FIRST_REPORTS = 1_000


class Watcher:
    """Everything that is looked at. A context manager: close it."""

    def __init__(self, settings: Settings, metrics: Sequence[str]) -> None:
        """Raises TransportError (no broker) and ConfigurationError (no input topic)."""
        self._settings = settings
        self._metrics = metrics
        self._stack = contextlib.ExitStack()
        check_rights(admin_config(settings), top_rights(settings))
        topics = settings.topics
        self._watch = self._stack.enter_context(GroupWatch(settings))
        self._unseen: list[str] = []
        self._letters_tail = self._tail(
            "dead letters", topics.dead_letters, top_letters_rights(settings), _FIRST_LETTERS
        )
        self._alerts_tail = self._tail("drift", topics.drift_alerts, top_alerts_rights(settings), None)
        self._quality_tail, self._joiners = None, None
        if settings.labels.enabled:
            needed = top_quality_rights(settings)
            self._quality_tail = self._tail("quality", topics.quality_reports, needed, _FIRST_REPORTS)
            self._joiners = self._joiner_watch()
        self._schemas = output_reader(settings, ["drift_alert", "quality_report"])
        self._trouble: list[str] = []
        self._letters, self._episodes, self._quality = RecentLetters(), OpenEpisodes(), LatestQuality()
        self._before: tuple[float, GroupLook, Scraped | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def turn(self) -> Snapshot:
        """As of now; rates are since the turn before. Raises TransportError."""
        look, scraped, now = self._watch.look(), scrape(self._metrics), time.monotonic()
        before_at, before, scraped_before = self._before or (now, None, None)
        self._before = (now, look, scraped)
        self._read_tails()
        rows = rows_of(look, before, now - before_at)
        lag, rate = sum(row.lag for row in rows), total_rate(rows)
        kafka, topics = self._settings.kafka, self._settings.topics
        return Snapshot(
            group=kafka.group,
            topic=topics.input,
            state=look.state,
            members=len(look.members),
            lag=lag,
            rate=rate,
            behind_seconds=behind(lag, rate),
            latency_seconds=_latency(scraped, scraped_before),
            partitions=rows,
            dead_letters=self._letters.latest(int(time.time() * 1_000)),
            episodes=self._episodes.all(),
            joiners=self._joiners.look() if self._joiners else None,
            quality=self._quality.all(),
            unseen=(*self._unseen, *self._trouble),
        )

    def _tail(self, what: str, topic: str, needed: Rights, most: int | None) -> TopicTail | None:
        """None where there is no such topic, or it may not be read, which is noted."""
        settings = self._settings
        if not self._may_see(what, needed):
            return None
        try:
            return self._stack.enter_context(TopicTail(settings, topic, looking_group(settings, "top"), most=most))
        except ConfigurationError:
            return None

    def _may_see(self, what: str, needed: Rights) -> bool:
        if missing := missing_rights(admin_config(self._settings), needed):
            self._unseen.append(f"{what}: {lacking(missing).message}")
        return not missing

    def _joiner_watch(self) -> JoinerWatch | None:
        """None where the topics are not there, or may not be looked at, which is noted."""
        if not self._may_see("joiners", top_joiners_rights(self._settings)):
            return None
        try:
            return self._stack.enter_context(JoinerWatch(self._settings))
        except ConfigurationError:
            return None

    def _read_tails(self) -> None:
        for batch in self._letters_tail.new() if self._letters_tail else ():
            for row in range(len(batch)):
                letter = letter_of(batch.record(row))
                self._letters.add(letter.timestamp_ms, letter.stage, letter.reason)
        self._trouble = []
        for what, tail, add in (
            ("drift", self._alerts_tail, self._episodes.add),
            ("quality", self._quality_tail, self._quality.add),
        ):
            try:
                self._read(tail, add)
            except SchemaUnavailable as error:
                self._trouble.append(f"{what}: {error.message}")

    def _read(self, tail: TopicTail | None, add: Callable[[Mapping[str, Any]], None]) -> None:
        """What could not be read for want of its schema is read again, from the first record of the turn on."""
        for batch in tail.new() if tail else ():
            for value in batch.values.to_list():
                with contextlib.suppress(Unreadable):  # of somebody else
                    add(self._schemas.read(value))


def show_once(settings: Settings, metrics: Sequence[str], interval_seconds: float, *, json_lines: bool) -> None:
    """Two looks, so that there are rates, and what came of them. Raises TransportError and ConfigurationError."""
    with Watcher(settings, metrics) as watcher:
        watcher.turn()
        threading.Event().wait(interval_seconds)
        snapshot = watcher.turn()
    if json_lines:
        typer.echo(as_json(snapshot))
    elif on_terminal():
        Console().print(picture(snapshot))
    else:
        for line in lines(snapshot):
            typer.echo(line)


def show_on_and_on(settings: Settings, metrics: Sequence[str], interval_seconds: float) -> None:
    """Until Ctrl-C or SIGTERM. A broker that is away for a while is said to be, and waited for."""
    logging.getLogger().addHandler(logging.NullHandler())  # what the client has to say would fall into the picture
    pause = threading.Event()
    with Watcher(settings, metrics) as watcher, Live(auto_refresh=False, screen=True) as live:
        snapshot = watcher.turn()
        trouble = ""
        while True:
            live.update(picture(snapshot, trouble), refresh=True)
            pause.wait(interval_seconds)
            try:
                snapshot, trouble = watcher.turn(), ""
            except TransportError as error:
                trouble = error.message


def _latency(now: Scraped | None, before: Scraped | None) -> tuple[float | None, float | None]:
    """Since the turn before; since the workers' start where nothing has come in between."""
    if now is None:
        return None, None
    since = before if before and quantile(now, before, 0.5) is not None else None
    return quantile(now, since, 0.5), quantile(now, since, 0.99)
