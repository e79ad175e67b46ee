"""What has been replayed of one partition of the dead-letter topic: exact, whatever filters were used.

An offset alone can't say it: after a replay of one reason, the letters of other reasons before it are still to come.
So each replay leaves its filter and the range of offsets that it went through, and a letter has been replayed when a
filter that meant it went past it. The ranges travel in the metadata of the committed offset, in the transaction of
the replay itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from worker.errors import ConfigurationError
from worker.kafka.letters import Letter, LetterFilter

_VERSION = 1
_ANY_COUNT = 2**31
MAX_METADATA_BYTES = 4_000  # the broker's default limit (offset.metadata.max.bytes) is 4,096


@dataclass(frozen=True, slots=True)
class Pass:
    """All letters at ``start`` ≤ offset < ``end`` that the filter means and that had fewer replays were replayed."""

    filter: LetterFilter
    max_replays: int
    start: int
    end: int

    def took(self, letter: Letter) -> bool:
        return (
            self.start <= letter.offset < self.end and letter.replays < self.max_replays and self.filter.matches(letter)
        )

    def means_all_of(self, other: Pass) -> bool:
        """Whether it means whatever the other one means, ranges aside."""
        return self.max_replays >= other.max_replays and self.filter.covers(other.filter)

    def touches(self, other: Pass) -> bool:
        return self.start <= other.end and other.start <= self.end


@dataclass(frozen=True, slots=True)
class Progress:
    """The passes over one partition."""

    passes: tuple[Pass, ...] = ()

    def has(self, letter: Letter) -> bool:
        return any(one.took(letter) for one in self.passes)

    def end(self) -> int:
        """The offset up to which anything is said."""
        return max((one.end for one in self.passes), default=0)

    def begin(self, wanted: Pass) -> int:
        """Where a pass may begin that shall begin at ``wanted.start``: behind what was gone through already."""
        at = wanted.start
        for one in sorted(self.passes, key=lambda one: one.start):
            if one.means_all_of(wanted) and one.start <= at:
                at = max(at, one.end)
        return at

    def after(self, made: Pass) -> Progress:
        """With another pass; what it continues is joined with it, what it holds is dropped."""
        kept = []
        for one in self.passes:
            same = (one.filter, one.max_replays) == (made.filter, made.max_replays)
            if same and one.touches(made):
                made = replace(made, start=min(one.start, made.start), end=max(one.end, made.end))
            elif not (made.means_all_of(one) and made.start <= one.start and one.end <= made.end):
                kept.append(one)
        return Progress((*kept, made))

    def without(self, again: LetterFilter) -> Progress:
        """Less the passes that ``again`` covers: for a replay that starts over."""
        return Progress(tuple(one for one in self.passes if not again.covers(one.filter)))

    def text(self) -> str:
        """For the committed offset's metadata. Raises ConfigurationError when it would not fit."""
        passes = [
            {**one.filter.criteria(), "replays": one.max_replays, "from": one.start, "to": one.end}
            for one in self.passes
        ]
        text = json.dumps({"v": _VERSION, "passes": passes}, separators=(",", ":"))
        if len(text.encode()) > MAX_METADATA_BYTES:
            raise ConfigurationError(
                f"{len(passes)} different filters were replayed, more than can be remembered; nothing was replayed twice",
                hint="replay the rest without a filter, or begin again with --from-start",
            )
        return text

    @staticmethod
    def parse(text: str, offset: int) -> Progress:
        """Of what is committed for the partition; ``offset`` is negative where nothing is.

        An offset without our metadata was set with Kafka's own tools: everything before it counts as replayed. Raises
        ConfigurationError for other metadata: to go on regardless could replay everything twice.
        """
        if not text:
            return Progress((Pass(LetterFilter(), _ANY_COUNT, 0, offset),) if offset > 0 else ())
        try:
            known = json.loads(text)
            passes = tuple(_pass(one) for one in known["passes"]) if known["v"] == _VERSION else None
        except (ValueError, KeyError, TypeError):
            passes = None
        if passes is None:
            raise ConfigurationError(
                "the progress of earlier replays can't be read",
                hint="was it written by a newer version? --from-start forgets it, and replays everything again",
            )
        return Progress(passes)


def _pass(known: dict[str, int | str]) -> Pass:
    criteria = {name: value for name, value in known.items() if name not in ("replays", "from", "to")}
    return Pass(LetterFilter(**criteria), int(known["replays"]), int(known["from"]), int(known["to"]))  # type: ignore[arg-type]  # checked by who wrote it
