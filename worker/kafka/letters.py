"""A dead letter read back: what its headers say, in whichever dialect they were written, and whose headers they are.

The worker writes its own headers behind those of the record, so the last dialect found is the worker's; one further to
the front came with the record (a letter of somebody else's that was taken for an event).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from worker.pipeline.dead_letters import DIALECTS, FIELD, MODEL_VERSION, REASON, REPLAYS, STAGE, WORKER_VERSION
from worker.records import Headers, Record, TopicPartition

_WORKERS_OWN = (STAGE, REASON, FIELD, WORKER_VERSION, MODEL_VERSION)


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """One record of the dead-letter topic. Texts are empty where a header is missing.

    ``origin`` and ``origin_offset`` say where the refused record stands; None and -1 for a record that is no dead
    letter. ``own_headers`` are those of the refused record, less the count of its replays.
    """

    partition: int
    offset: int
    timestamp_ms: int
    origin: TopicPartition | None
    origin_offset: int
    dialect: str
    group: str
    message: str
    stage: str
    reason: str
    field: str
    worker_version: str
    model_version: str
    replays: int
    key: bytes | None = dataclasses.field(repr=False)
    value: bytes | None = dataclasses.field(repr=False)
    own_headers: Headers = dataclasses.field(repr=False)

    @property
    def place(self) -> str:
        """PARTITION:OFFSET in the dead-letter topic, as ``dlq show`` takes it."""
        return f"{self.partition}:{self.offset}"


@dataclasses.dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are meant; None: any."""

    reason: str | None = None
    stage: str | None = None
    field: str | None = None
    origin_partition: int | None = None

    def matches(self, letter: Letter) -> bool:
        partition = letter.origin.partition if letter.origin else None
        found = (letter.reason, letter.stage, letter.field, partition)
        return all(wanted is None or wanted == there for wanted, there in zip(self._wanted(), found, strict=True))

    def covers(self, other: LetterFilter) -> bool:
        """Whether every letter that ``other`` means is meant by this one, too."""
        pairs = zip(self._wanted(), other._wanted(), strict=True)
        return all(mine is None or mine == theirs for mine, theirs in pairs)

    def criteria(self) -> dict[str, Any]:
        """What is asked for, by name; empty: everything."""
        names = ("reason", "stage", "field", "origin_partition")
        return {name: wanted for name, wanted in zip(names, self._wanted(), strict=True) if wanted is not None}

    def _wanted(self) -> tuple[str | None, str | None, str | None, int | None]:
        return (self.reason, self.stage, self.field, self.origin_partition)


def letter_of(record: Record) -> Letter:
    """Never fails: what can't be read is empty, and a record without our headers has no ``origin``."""
    dialect, begin = _dialect(record.headers)
    names = (*DIALECTS[dialect], *_WORKERS_OWN) if dialect else ()
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers[begin:] if name in names}
    topic, partition, offset, group, message = DIALECTS[dialect or "kafka"]
    number, place = _number(said.get(partition)), _number(said.get(offset))
    known = number >= 0 and place >= 0 and bool(said.get(topic))
    return Letter(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        origin=TopicPartition(said[topic], number) if known else None,
        origin_offset=place if known else -1,
        dialect=dialect,
        group=said.get(group, ""),
        message=said.get(message, ""),
        stage=said.get(STAGE, ""),
        reason=said.get(REASON, ""),
        field=said.get(FIELD, ""),
        worker_version=said.get(WORKER_VERSION, ""),
        model_version=said.get(MODEL_VERSION, ""),
        replays=max((_number((value or b"").decode("ascii", "replace")) for value in _counts(record)), default=0),
        key=record.key,
        value=record.value,
        own_headers=_own(record.headers, begin, names),
    )


def replayed_headers(letter: Letter) -> Headers:
    """The refused record's own headers, the count first: where headers are capped, the first ones are kept."""
    return ((REPLAYS, str(letter.replays + 1).encode()), *letter.own_headers)


def _dialect(headers: Headers) -> tuple[str, int]:
    """The dialect, and where the worker's headers begin; an empty name and the end for no dead letter."""
    by_topic_header = {names[0]: dialect for dialect, names in DIALECTS.items()}
    for i in range(len(headers) - 1, -1, -1):
        if dialect := by_topic_header.get(headers[i][0]):
            return dialect, i
    return "", len(headers)


def _own(headers: Headers, begin: int, names: tuple[str, ...]) -> Headers:
    ahead, behind = headers[:begin], headers[begin:]
    own = (*ahead, *(header for header in behind if header[0] not in names))
    return tuple(header for header in own if header[0] != REPLAYS)


def _counts(record: Record) -> list[bytes | None]:
    return [b"0", *(value for name, value in record.headers if name == REPLAYS)]


def _number(text: str | None) -> int:
    """-1 for what is no number: an offset, a partition or a count is never negative, and has at most 19 digits."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 19 else -1
