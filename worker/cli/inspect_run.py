"""The way of an inspection: which records, what is said of each, and how it is printed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping

import typer

from worker.cli.inspect_views import WHOLE, Inspected, Tally, View, as_json, cells, matches, summary
from worker.cli.texts import on_terminal, show_rows, tabbed
from worker.cli.verdicts import Judge, OutputJudge
from worker.errors import ConfigurationError
from worker.kafka.config import admin_config
from worker.kafka.letters import letter_of
from worker.kafka.needed_rights import inspect_rights, looking_group
from worker.kafka.rights import check_rights
from worker.kafka.spans import Span, TopicReader
from worker.records import RecordBatch
from worker.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """Which records: from an offset or a time (Unix milliseconds) on, or the ``last``; ``only`` refused or good."""

    topic: str
    partition: int | None = None
    offset: int | None = None
    since_ms: int | None = None
    last: int | None = None
    follow: bool = False
    only: str | None = None
    reason: str | None = None
    limit: int | None = None


def run_inspect(settings: Settings, request: Request, view: View, *, json_lines: bool) -> None:
    """Raises ConfigurationError, ModelError and TransportError. Ctrl-C is the way out of ``follow``: exit code 0."""
    check_rights(admin_config(settings), inspect_rights(settings, request.topic))
    judge = _judge(settings, request.topic, model=view.model)
    tally = Tally()
    # A table is drawn when all of it is known; with --follow that is never.
    table = on_terminal() and not json_lines and not request.follow
    printer = _Printer(dataclasses.replace(view, narrow=table), json_lines=json_lines, table=table)
    interrupted = False
    with TopicReader(settings, request.topic, looking_group(settings, "inspect")) as reader:
        spans = chosen_spans(reader, request)
        try:
            _examine(_batches(reader, spans, request), judge, request, printer, tally)
        except KeyboardInterrupt:
            interrupted = True
    printer.end()
    for line in summary(tally, request.topic):
        typer.echo(line, err=True)
    if tally.shown == request.limit:
        typer.echo(f"stopped at the limit of {request.limit}; --limit sets another", err=True)
    if interrupted and not request.follow:
        raise typer.Exit(130)


def chosen_spans(reader: TopicReader, request: Request) -> dict[int, Span]:
    """The offsets that are asked for, by partition. Raises ConfigurationError for those that don't exist."""
    partitions, partition = reader.partitions, request.partition
    if partition is not None and partition not in partitions:
        raise ConfigurationError(f"{reader.topic} has no partition {partition}", hint=f"it has {_named(partitions)}")
    if partition is None and request.offset is not None:
        if len(partitions) > 1:
            raise ConfigurationError(
                f"--offset needs --partition: {reader.topic} has {_named(partitions)}", hint="say --partition P"
            )
        partition = 0
    spans = reader.spans(request.since_ms)
    if partition is not None:
        spans = {partition: spans[partition]}
        if request.offset is not None:
            spans = {partition: _from(spans[partition], request, reader.topic, partition)}
    return spans


def _from(span: Span, request: Request, topic: str, partition: int) -> Span:
    offset = request.offset or 0
    # The end itself is where a follower begins that wants only what is new.
    if not span.start <= offset < span.end and not (request.follow and offset == span.end):
        held = f"offsets {span.start} to {span.end - 1}" if span.start < span.end else "no records"
        raise ConfigurationError(
            f"no offset {offset} stands in {topic}[{partition}], which holds {held}", hint="--last shows the latest"
        )
    return Span(offset, span.end)


def _named(partitions: range) -> str:
    return "partition 0 alone" if len(partitions) == 1 else f"partitions 0 to {len(partitions) - 1}"


def _judge(settings: Settings, topic: str, *, model: bool) -> Judge | OutputJudge:
    pipeline = None
    if model:
        from worker.bootstrap import prepare

        pipeline = prepare(settings).pipeline
    events = Judge(settings.event, pipeline, settings.registry)
    return events if topic in (settings.topics.input, settings.topics.dead_letters) else OutputJudge(events)


def _batches(reader: TopicReader, spans: Mapping[int, Span], request: Request) -> Iterator[RecordBatch]:
    if request.last is not None:
        if records := reader.last(spans, request.last):
            yield RecordBatch.of(records)
    else:
        yield from reader.read(spans)
    if request.follow:
        yield from reader.follow(spans)


def _examine(
    batches: Iterator[RecordBatch], judge: Judge | OutputJudge, request: Request, printer: _Printer, tally: Tally
) -> None:
    """Up to the limit."""
    for batch in batches:
        for row, verdict in enumerate(judge.judge(batch)):
            tally.count(verdict)
            if not matches(verdict, request.only, request.reason):
                continue
            record = batch.record(row)
            printer.show(Inspected(record, verdict, letter_of(record) if printer.view.letters else None))
            tally.shown += 1
            if tally.shown == request.limit:
                return


@dataclasses.dataclass(slots=True)
class _Printer:
    """JSON lines and tab-separated lines as they come, a table at the end."""

    view: View
    json_lines: bool
    table: bool
    _rows: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    _headed: bool = False

    def show(self, one: Inspected) -> None:
        if self.json_lines:
            typer.echo(json.dumps(as_json(one, self.view), allow_nan=False))
        elif self.table:
            self._rows.append(cells(one, self.view))
        else:
            self._head()
            typer.echo(tabbed(cells(one, self.view)))

    def end(self) -> None:
        if self.table and self._rows:
            show_rows(self.view.columns, self._rows, WHOLE)

    def _head(self) -> None:
        if not self._headed:
            typer.echo(tabbed(self.view.columns))
            self._headed = True
