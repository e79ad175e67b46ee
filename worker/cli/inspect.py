"""``prediction-worker inspect``: records of a topic, decoded, and what the worker would say of each.

Reads beside the worker: it joins no group, commits nothing and writes nothing.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.dlq import since_ms
from worker.cli.options import ConfigOption, settings_from
from worker.errors import ConfigurationError

_LAST = 20
_LIMIT = 1_000


class Only(enum.StrEnum):
    """Which verdicts are shown."""

    REFUSED = "refused"
    GOOD = "good"


def inspect(
    *,
    config: ConfigOption = None,
    topic: Annotated[
        str | None, typer.Option(show_default="the input", help="Any topic: input, outputs, others.")
    ] = None,
    partition: Annotated[int | None, typer.Option(help="Only this partition.", min=0)] = None,
    offset: Annotated[int | None, typer.Option(help="From this offset of the partition on.", min=0)] = None,
    last: Annotated[
        int | None, typer.Option(show_default=str(_LAST), help="So many records, the latest by Kafka's time.", min=1)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="From then on: 90s, 15m, 2h, 3d ago, or an ISO time (UTC unless it says).")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until Ctrl-C.")] = False,
    only: Annotated[Only | None, typer.Option(help="Only records that are refused, or only good ones.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only refused for this reason, such as below_minimum.")] = None,
    limit: Annotated[
        int | None, typer.Option(show_default=f"{_LIMIT} with --offset or --since", help="Show no more records.", min=1)
    ] = None,
    values: Annotated[bool, typer.Option("--values", help="Show the records' keys and what they hold, too.")] = False,
    keys: Annotated[bool, typer.Option("--keys", help="Show the records' keys, too.")] = False,
    predict: Annotated[bool, typer.Option("--predict", help="Also ask the model: label and score.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, an object a line.")] = False,
) -> None:
    """Show records of a topic with the verdict that schema and settings, as they are now, have for each.

    Keys and values are hidden unless --values (or --keys) is given, for not everybody may see the data. Nothing is
    consumed: it may run beside the worker.

    For example:

        prediction-worker inspect --only refused --since 15m

        prediction-worker inspect --partition 3 --offset 1234 --limit 1 --values --predict

        prediction-worker inspect --topic payments.dlq --json | jq .detail

        prediction-worker inspect --follow
    """
    from worker.cli.inspect_run import Request, run_inspect
    from worker.cli.inspect_views import View

    settings = settings_from(config)
    _check((offset, last, since), reason)
    wanted = topic or settings.topics.input
    request = Request(
        topic=wanted,
        partition=partition,
        offset=offset,
        since_ms=None if since is None else since_ms(since, datetime.now(UTC)),
        last=_LAST if last is None and offset is None and since is None else last,
        follow=follow,
        only=only,
        reason=reason,
        limit=_LIMIT if limit is None and last is None and not follow else limit,
    )
    view = View(keys or values, values, predict, letters=wanted == settings.topics.dead_letters)
    run_inspect(settings, request, view, json_lines=as_json)


def _check(starts: tuple[object, ...], reason: str | None) -> None:
    """Raises ConfigurationError."""
    from worker.records import Reason

    problems = []
    if sum(start is not None for start in starts) > 1:
        problems.append("of --offset, --last and --since, only one can be given")
    if reason is not None and reason not in set(Reason):
        problems.append(f"{reason!r} is no reason; there are: {', '.join(Reason)}")
    if problems:
        raise ConfigurationError(problems)
