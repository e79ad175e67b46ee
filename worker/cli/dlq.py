"""``prediction-worker dlq``: look at dead letters, replay them, and let stopped partitions go on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import ConfigOption, settings_from
from worker.errors import ConfigurationError, WorkerError

if TYPE_CHECKING:
    from worker.kafka.letters import Letter, LetterFilter
    from worker.kafka.resume import Stopped
    from worker.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, replay them, resume after a limit.")

ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only of this reason, such as below_minimum.")]
StageOption = Annotated[str | None, typer.Option("--stage", help="Only of this stage: framing, decode, validate ...")]
FieldOption = Annotated[str | None, typer.Option("--field", help="Only where this field was at fault.")]
OriginOption = Annotated[int | None, typer.Option("--origin-partition", help="Only from this input partition.", min=0)]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="From then on: 90s, 15m, 2h, 3d ago, or an ISO time (UTC unless it says).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, an object a line.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@app.command("list")
def list_(
    *,
    config: ConfigOption = None,
    reason: ReasonOption = None,
    stage: StageOption = None,
    field: FieldOption = None,
    origin_partition: OriginOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(help="So many letters at most, the latest.", min=1)] = 50,
    summary: Annotated[bool, typer.Option("--summary", help="Only the counts by stage and reason.")] = False,
    keys: Annotated[bool, typer.Option("--keys", help="Show the records' keys, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, the latest ones, and how many there are of each reason; never the records' values.

    For example:

        prediction-worker dlq list --since 2h

        prediction-worker dlq list --reason below_minimum --json | jq .field
    """
    from worker.cli.dlq_views import show_counts, show_letters
    from worker.kafka.config import admin_config
    from worker.kafka.needed_rights import letters_rights
    from worker.kafka.rights import check_rights

    settings = settings_from(config)
    check_rights(admin_config(settings), letters_rights(settings))
    latest, counts = _latest(settings, _filter(reason, stage, field, origin_partition), _since_ms(since), limit)
    if not summary and (latest or as_json):
        show_letters(latest, keys=keys, json_lines=as_json)
    total = sum(counts.values())
    if as_json:
        if summary:
            show_counts(counts, json_lines=True)
    elif counts:
        typer.echo()
        show_counts(counts, json_lines=False)
        if not summary and total > len(latest):
            typer.echo(
                f"the latest {len(latest)} of {total}; --limit shows more, --reason and the like fewer", err=True
            )
    else:
        typer.echo("no such dead letters", err=True)
    _mention_stopped(settings)


@app.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `dlq list` names it.")],
    config: ConfigOption = None,
    values: Annotated[bool, typer.Option("--values", help="Show what the record holds, too.")] = False,
) -> None:
    """Show one dead letter: headers, origin, bytes, and what the schema as it is now says of it.

    For example:

        prediction-worker dlq show 0:1234 --values
    """
    from worker.cli.dlq_show import show_letter
    from worker.kafka.config import admin_config
    from worker.kafka.dead_letter_topic import DeadLetterTopic
    from worker.kafka.needed_rights import letters_rights
    from worker.kafka.rights import check_rights

    partition, _, offset = letter.partition(":")
    if not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
        raise ConfigurationError(f"{letter!r} is not PARTITION:OFFSET", hint="for example 0:1234, as `dlq list` says")
    settings = settings_from(config)
    check_rights(admin_config(settings), letters_rights(settings))
    with DeadLetterTopic(settings) as letters:
        found = letters.letter(int(partition), int(offset))
    show_letter(found, settings, values=values)


@app.command()
def replay(
    *,
    config: ConfigOption = None,
    reason: ReasonOption = None,
    stage: StageOption = None,
    field: FieldOption = None,
    origin_partition: OriginOption = None,
    since: SinceOption = None,
    most: Annotated[int | None, typer.Option("--max", help="So many letters at most.", min=1)] = None,
    max_replays: Annotated[int, typer.Option(help="Leave letters alone that were replayed so often.", min=1)] = 3,
    from_start: Annotated[bool, typer.Option("--from-start", help="Also what was replayed before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be replayed.")] = False,
    yes: YesOption = False,
) -> None:
    """Write refused records back to the input topic, each once, so that they are predicted after all.

    A second replay goes on where the first one stopped; Ctrl-C ends it between two transactions.

    For example:

        prediction-worker dlq replay --reason unknown_schema --dry-run

        prediction-worker dlq replay --stage predict --since 2026-01-31T08:00 --yes
    """
    from worker.cli.dlq_replay import run_replay
    from worker.kafka.replay_plan import ReplayRequest

    if not dry_run:
        _check_can_ask(yes=yes)
    settings = settings_from(config)
    wanted = _filter(reason, stage, field, origin_partition)
    request = ReplayRequest(wanted, _since_ms(since), max_replays, most, from_start)
    run_replay(settings, request, dry_run=dry_run, ask=not yes)


@app.command()
def resume(
    *,
    config: ConfigOption = None,
    partition: Annotated[
        list[int] | None, typer.Option(help="Only this input partition. Can be given several times.", min=0)
    ] = None,
    yes: YesOption = False,
) -> None:
    """Let partitions go on that the dead-letter limit has stopped; workers must not run meanwhile.

    For example:

        prediction-worker dlq resume --partition 3
    """
    from worker.cli.dlq_views import show_stopped
    from worker.kafka.config import admin_config
    from worker.kafka.needed_rights import resume_rights
    from worker.kafka.resume import resume as resume_partitions
    from worker.kafka.resume import stopped_partitions
    from worker.kafka.rights import check_rights

    settings = settings_from(config)
    check_rights(admin_config(settings), resume_rights(settings))
    stopped = [s for s in stopped_partitions(settings) if not partition or s.partition in partition]
    if not stopped:
        which = f" among {', '.join(str(p) for p in partition)}" if partition else ""
        typer.echo(f"nothing to resume: no partition{which} of {settings.topics.input} is stopped")
        return
    show_stopped(stopped)
    _check_can_ask(yes=yes)
    if not yes and not typer.confirm(f"Let {_counted(len(stopped), 'partition')} go on?"):
        typer.echo("nothing was resumed")
        return
    resumed = resume_partitions(settings, [s.partition for s in stopped])
    typer.echo(f"resumed {_counted(len(resumed), 'partition')}; start the workers again")


def _latest(
    settings: Settings, wanted: LetterFilter, since_ms: int | None, limit: int
) -> tuple[list[Letter], dict[tuple[str, str], int]]:
    """The latest letters, oldest first and without their values, and the counts of all by (stage, reason)."""
    import dataclasses
    import heapq
    from collections import Counter

    from worker.kafka.dead_letter_topic import DeadLetterTopic

    counts: Counter[tuple[str, str]] = Counter()
    latest: list[tuple[tuple[int, int, int], Letter]] = []
    with DeadLetterTopic(settings) as letters:
        for letter in letters.read_letters(letters.spans(since_ms)):
            if wanted.matches(letter):
                counts[letter.stage, letter.reason] += 1
                place = (letter.timestamp_ms, letter.partition, letter.offset)
                heapq.heappush(latest, (place, dataclasses.replace(letter, value=None)))
                if len(latest) > limit:
                    heapq.heappop(latest)
    return [letter for _, letter in sorted(latest, key=lambda pair: pair[0])], dict(counts)


def _filter(reason: str | None, stage: str | None, field: str | None, partition: int | None) -> LetterFilter:
    """Raises ConfigurationError for a word that is no stage or reason."""
    from worker.kafka.letters import LetterFilter
    from worker.records import Reason, Stage

    problems = []
    for word, known, name in ((reason, Reason, "reason"), (stage, Stage, "stage")):
        if word is not None and word not in set(known):
            problems.append(f"{word!r} is no {name}; there are: {', '.join(known)}")
    if problems:
        raise ConfigurationError(problems)
    return LetterFilter(reason, stage, field, partition)


def _since_ms(text: str | None) -> int | None:
    return None if text is None else since_ms(text, datetime.now(UTC))


def since_ms(text: str, now: datetime) -> int:
    """``2h`` before ``now``, or an ISO time, in Unix milliseconds. Raises ConfigurationError."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], units.get(text[-1:])
    try:
        if unit and number.isascii() and number.isdigit():
            then = now - timedelta(**{unit: int(number)})
        else:
            then = datetime.fromisoformat(text)
            then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0, int(then.timestamp() * 1_000))
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"--since {text!r} is no time", hint="say 90s, 15m, 2h or 3d, or an ISO time such as 2026-01-31T08:00"
        ) from None


def _check_can_ask(*, yes: bool) -> None:
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError("nobody can be asked here, so nothing was done", hint="say --yes")


def _mention_stopped(settings: Settings) -> None:
    """On stderr, so that a pipe gets letters alone."""
    from worker.kafka.config import admin_config
    from worker.kafka.needed_rights import stopped_rights
    from worker.kafka.resume import stopped_partitions
    from worker.kafka.rights import check_rights

    stopped: list[Stopped] = []
    try:
        check_rights(admin_config(settings), stopped_rights(settings))
        stopped = stopped_partitions(settings)
    except WorkerError as error:
        # The letters are what was asked for.
        typer.secho(f"whether a partition is stopped can't be seen: {error.message}", fg="yellow", err=True)
    for one in stopped:
        line = f"partition {one.partition} is stopped at offset {one.offset}: {one.why} (see `dlq resume`)"
        typer.secho(line, fg="yellow", err=True)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
