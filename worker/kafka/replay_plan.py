"""Which letters a replay takes, judged one by one in the light of what earlier replays did."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as Position

from worker.errors import ConfigurationError
from worker.kafka.dead_letter_topic import DeadLetterTopic
from worker.kafka.errors import asked, error_of, stopping
from worker.kafka.letters import Letter, LetterFilter
from worker.kafka.replay_progress import Pass, Progress
from worker.kafka.spans import TIMEOUT_SECONDS, Span
from worker.settings import Settings


class Verdict(enum.StrEnum):
    """What a replay does with a letter."""

    REPLAY = "to replay"
    NOT_MEANT = "not meant by the filter"
    DONE = "replayed already"
    GUARDED = "replayed too often"
    FOREIGN = "not of this group and input topic"


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Which letters; ``since_ms`` in Unix milliseconds, ``most``: so many letters at most."""

    filter: LetterFilter = field(default_factory=LetterFilter)
    since_ms: int | None = None
    max_replays: int = 3
    most: int | None = None
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """Through the letters of a request, in the light of what has been replayed before."""

    settings: Settings
    request: ReplayRequest
    progress: dict[int, Progress]
    spans: dict[int, Span]

    @staticmethod
    def over(letters: DeadLetterTopic, settings: Settings, request: ReplayRequest) -> Walk:
        spans = letters.spans(request.since_ms)
        progress = _progress(letters, spans, request)
        wanted = {p: replay_pass(request, span) for p, span in spans.items()}
        starts = {p: wanted[p].start if request.from_start else progress[p].begin(wanted[p]) for p in spans}
        return Walk(settings, request, progress, {p: Span(starts[p], span.end) for p, span in spans.items()})

    def verdicts(self, letters: DeadLetterTopic) -> Iterator[tuple[Letter, Verdict]]:
        for letter in letters.read_letters(self.spans):
            yield letter, self._judge(letter)

    def _judge(self, letter: Letter) -> Verdict:
        ours = letter.group in ("", self.settings.kafka.group)
        if letter.origin is None or letter.origin.topic != self.settings.topics.input or not ours:
            return Verdict.FOREIGN
        if not self.request.filter.matches(letter):
            return Verdict.NOT_MEANT
        if not self.request.from_start and self.progress[letter.partition].has(letter):
            return Verdict.DONE
        return Verdict.GUARDED if letter.replays >= self.request.max_replays else Verdict.REPLAY


def plan(settings: Settings, request: ReplayRequest) -> tuple[Counter[Verdict], Counter[tuple[str, str]]]:
    """What a replay would do now: letters by verdict, and those to replay by (stage, reason). Writes nothing."""
    verdicts: Counter[Verdict] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    with DeadLetterTopic(settings) as letters:
        for letter, verdict in Walk.over(letters, settings, request).verdicts(letters):
            if verdict is Verdict.REPLAY:
                kinds[letter.stage, letter.reason] += 1
            verdicts[verdict] += 1
            if verdicts[Verdict.REPLAY] == request.most:
                break
    return verdicts, kinds


def replay_pass(request: ReplayRequest, span: Span) -> Pass:
    return Pass(request.filter, request.max_replays, span.start, span.end)


def _progress(letters: DeadLetterTopic, spans: Mapping[int, Span], request: ReplayRequest) -> dict[int, Progress]:
    """What earlier replays committed, by partition, less what the request starts over."""
    wanted = [Position(letters.topic, partition) for partition in spans]
    try:
        committed = asked(lambda: letters.consumer.committed(wanted, timeout=TIMEOUT_SECONDS), TIMEOUT_SECONDS)
    except KafkaException as error:
        raise stopping("reading the progress of earlier replays", error_of(error)) from None
    if request.from_start:
        return {p.partition: _kept(p, request.filter, spans[p.partition].end) for p in committed}
    progress = {p.partition: Progress.parse(p.metadata or "", p.offset) for p in committed}
    for partition, known in progress.items():
        if known.end() > spans[partition].end:
            raise ConfigurationError(
                f"earlier replays went to offset {known.end()} of {letters.topic}[{partition}], "
                f"which now ends at {spans[partition].end}",
                hint="was the topic created anew? --from-start forgets the progress",
            )
    return progress


def _kept(position: Position, again: LetterFilter, end: int) -> Progress:
    """What starting over leaves standing; nothing of what can't be read or is of a topic that exists no longer."""
    try:
        kept = Progress.parse(position.metadata or "", position.offset).without(again)
    except ConfigurationError:
        return Progress()
    return kept if kept.end() <= end else Progress()
