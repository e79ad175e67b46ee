"""How inspected records are shown: cells of a table or of a tab-separated line, JSON objects, and the summary.

What a record holds is shown only when it is asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from worker.cli.texts import counted, key_text, printable, when
from worker.cli.verdicts import Prefix, Said, Verdict, Writer
from worker.kafka.letters import Letter
from worker.records import Record

WHOLE = frozenset({"partition", "offset", "when", "verdict"})
"""Columns that are of no use when folded."""
_TEXT_CHARACTERS = 80
_SHOWN_BYTES = 32
_FRAMINGS = {"confluent": "confluent {}", "single-object": "single-object {}", "header": "header {}"}
_ROLES = {"reader": "{}", "another": "{} (another version)", "shipped": "{} (an output's)"}


@dataclass(frozen=True, slots=True)
class View:
    """Which columns there are. ``letters``: also what the headers of dead letters say; ``narrow``: what is said once."""

    keys: bool = False
    values: bool = False
    model: bool = False
    letters: bool = False
    narrow: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        further = {"refused": self.letters, "key": self.keys, "model": self.model, "fields": self.values}
        # A detail begins with its field's name.
        why = ("detail",) if self.narrow else ("field", "detail")
        columns = ("partition", "offset", "when", "framing", "schema", "verdict", *why)
        return (*columns, *(name for name, wanted in further.items() if wanted))


@dataclass(frozen=True, slots=True)
class Inspected:
    """One record and what is said of it."""

    record: Record
    verdict: Verdict
    letter: Letter | None = None


@dataclass(slots=True)
class Tally:
    """What went by, and how much of it was shown."""

    records: int = 0
    shown: int = 0
    good: int = 0
    tombstones: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def count(self, verdict: Verdict) -> None:
        self.records += 1
        if verdict.refusal is not None:
            self.refused[f"{verdict.refusal.stage}/{verdict.refusal.reason}"] += 1
        elif verdict.tombstone:
            self.tombstones += 1
        else:
            self.good += 1


def cells(one: Inspected, view: View) -> tuple[str, ...]:
    """One line of each column of ``view.columns``, in which no control character is left."""
    record, verdict = one.record, one.verdict
    refusal = verdict.refusal
    texts = {
        "partition": str(record.partition),
        "offset": str(record.offset),
        "when": when(record.timestamp_ms),
        "framing": framing_text(verdict.prefix),
        "schema": schema_text(verdict.writer),
        "verdict": verdict_text(verdict),
        "field": (refusal.field or "") if refusal else "",
        "detail": refusal.detail if refusal else "",
        "refused": _letter_text(one.letter),
        "key": key_text(record.key),
        "model": said_text(verdict.said),
        "fields": _fields_text(one) if view.values else "",
    }
    return tuple(printable(texts[name]) for name in view.columns)


def as_json(one: Inspected, view: View) -> dict[str, Any]:
    """What ``--json`` prints, a line each; texts are whole, bytes as in Avro's own JSON (a character a byte)."""
    record, verdict = one.record, one.verdict
    refusal, letter = verdict.refusal, one.letter
    shown: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "framing": verdict.prefix.kind,
        "schema_id": verdict.prefix.schema,
        "schema": {"name": verdict.writer.name, "role": verdict.writer.role} if verdict.writer else None,
        "verdict": _word(verdict),
        "stage": refusal.stage if refusal else None,
        "reason": refusal.reason if refusal else None,
        "field": refusal.field if refusal else None,
        "detail": refusal.detail if refusal else None,
    }
    if view.letters:
        shown["refused"] = (
            {"stage": letter.stage, "reason": letter.reason, "origin": _origin(letter)} if letter else None
        )
    if view.keys:
        shown["key"] = None if record.key is None else record.key.decode("utf-8", "backslashreplace")
    if view.model:
        said = verdict.said
        shown["model"] = {"label": said.label, "score": _json_value(said.score)} if said else None
    if view.values:
        values = verdict.values
        shown["values"] = None if values is None else {name: _json_value(value) for name, value in values.items()}
        if values is None and record.value is not None:
            shown["bytes"] = record.value.hex()
    return shown


def framing_text(prefix: Prefix) -> str:
    return _FRAMINGS.get(prefix.kind, prefix.kind).format(prefix.schema)


def schema_text(writer: Writer | None) -> str:
    return "?" if writer is None else _ROLES[writer.role].format(writer.name)


def verdict_text(verdict: Verdict) -> str:
    return f"{verdict.refusal.stage}/{verdict.refusal.reason}" if verdict.refusal else _word(verdict)


def said_text(said: Said | None) -> str:
    if said is None:
        return ""
    return f"{said.score:.6g}" if said.label is None else f"{said.label} {said.score:.6g}"


def value_text(value: Any) -> str:
    """A value on one line: text in quotes, escaped and cut short, null as such."""
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return _short("[" + ", ".join(value_text(item) for item in value[:_TEXT_CHARACTERS]) + "]")
    if isinstance(value, (str, bytes)) and len(value) > _TEXT_CHARACTERS:
        return f"{value[:_TEXT_CHARACTERS]!r}… ({len(value)})"
    return repr(value)


def summary(tally: Tally, topic: str) -> list[str]:
    """What was there, a line for all and one a reason, most first."""
    if not tally.records:
        return [f"no records of {topic} there"]
    parts = [f"{tally.good} ok"]
    if tally.tombstones:
        parts.append(counted(tally.tombstones, "tombstone"))
    if tally.refused:
        parts.append(f"{tally.refused.total()} refused")
    lines = [f"{counted(tally.records, 'record')} of {topic}: {', '.join(parts)}"]
    lines += [f"  {count} {reason}" for reason, count in tally.refused.most_common()]
    return lines if tally.shown == tally.records else [*lines, f"  {tally.shown} shown"]


def _word(verdict: Verdict) -> str:
    if verdict.refusal is not None:
        return "refused"
    return "tombstone" if verdict.tombstone else "ok"


def _letter_text(letter: Letter | None) -> str:
    if letter is None:
        return ""
    origin = _origin(letter)
    return f"{letter.stage or '?'}/{letter.reason or '?'}" + (f" from {origin}" if origin else "")


def _origin(letter: Letter) -> str | None:
    return f"{letter.origin}@{letter.origin_offset}" if letter.origin else None


def _fields_text(one: Inspected) -> str:
    values, content = one.verdict.values, one.record.value
    if values is not None:
        return " ".join(f"{name}={value_text(value)}" for name, value in values.items())
    if content is None:
        return ""
    more = f" and {len(content) - _SHOWN_BYTES} bytes more" if len(content) > _SHOWN_BYTES else ""
    return f"bytes {content[:_SHOWN_BYTES].hex(' ')}{more}"


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_CHARACTERS else f"{text[:_TEXT_CHARACTERS]}…"


def _json_value(value: Any) -> Any:
    """JSON has no bytes, NaN or infinity: a text stands for each."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value


def matches(verdict: Verdict, only: str | None, reason: str | None) -> bool:
    """Whether the filters mean it: ``only`` is refused or good."""
    found = verdict.refusal.reason if verdict.refusal else None
    if reason is not None and reason != found:
        return False
    return only is None or _word(verdict) == {"refused": "refused", "good": "ok"}[only]
