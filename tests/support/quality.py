"""The definition of which label belongs to which prediction, over whole partitions; and streams to try it on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from worker.quality.changes import Cell, Changes
from worker.quality.join import JoinRules, LabelRows, PredictionRows
from worker.quality.scoring import Actual, Predicted


@dataclass(frozen=True, slots=True)
class Said:
    """One prediction; ``stamp_ms`` is its Kafka timestamp."""

    offset: int
    id: str
    time_ms: int
    said: Predicted
    stamp_ms: int = 10**15
    variant: tuple[str, str] = ("1.0.0", "primary")


@dataclass(frozen=True, slots=True)
class True_:  # noqa: N801 - "true" is Python's
    """One label."""

    offset: int
    id: str
    time_ms: int
    actual: Actual
    stamp_ms: int = 10**15


@dataclass(slots=True)
class Found:
    """By window, what a join has to tell in the end; comparable with what ``found_of`` makes of its changes."""

    counts: defaultdict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    pairs: defaultdict[Cell, Counter[tuple[Predicted, Actual]]] = field(default_factory=lambda: defaultdict(Counter))
    unmatched: Counter[int] = field(default_factory=Counter)
    refused: int = 0

    def add(self, changes: Changes) -> None:
        for cell, counts in changes.counts.items():
            self.counts[cell].update(counts)
        for cell, pairs in changes.pairs.items():
            self.pairs[cell].update(pairs)
        self.unmatched.update(changes.unmatched)
        self.refused += changes.refused

    def plain(self) -> tuple[object, ...]:
        return dict(self.counts), dict(self.pairs), dict(self.unmatched), self.refused


def held(said: Iterable[Said], rules: JoinRules) -> tuple[list[tuple[Cell, Said]], int]:
    """The predictions of one partition that are in a window, the first of each event; and the watermark after all."""
    watermark, found, known = 0, [], set()
    for one in said:
        start = one.time_ms // rules.window_ms * rules.window_ms
        bound = one.stamp_ms + rules.skew_ms
        if start + rules.window_ms + rules.lateness_ms > watermark and start <= bound:
            cell = (*one.variant, start)
            if (one.id, one.time_ms, cell) not in known:
                known.add((one.id, one.time_ms, cell))
                found.append((cell, one))
        if one.time_ms <= bound:
            watermark = max(watermark, one.time_ms)
    return found, watermark


def definition(said: Sequence[Said], true: Sequence[True_], rules: JoinRules) -> Found:
    """Of one partition, each in the order of offsets."""
    predictions, watermark = held(said, rules)
    result, used, latest = Found(), set[int](), 0
    labels: list[tuple[True_, int, int]] = []
    for label in true:
        if label.time_ms > label.stamp_ms + rules.skew_ms:
            result.refused += 1
            continue
        before, latest = latest, max(latest, label.time_ms)
        labels.append((label, before, latest))
    for cell, one in predictions:
        result.counts[cell]["predictions"] += 1
        last = one.time_ms + rules.horizon_ms
        ours = [
            label
            for label, before, _ in labels
            if label.id == one.id
            and one.time_ms - rules.skew_ms <= label.time_ms <= last
            and before <= last + rules.lateness_ms
        ]
        used |= {label.offset for label in ours}
        if ours:
            result.pairs[cell][one.said, ours[0].actual] += 1
        for further in ours[1:]:
            result.counts[cell]["doubled"] += 1
            if further.actual != ours[0].actual:
                result.counts[cell]["contradicting"] += 1
    for label, _, after in labels:
        if label.offset not in used and after + rules.grace_ms <= watermark:
            result.unmatched[after // rules.window_ms * rules.window_ms] += 1
    return result


def prediction_rows(said: Sequence[Said]) -> PredictionRows:
    return PredictionRows(
        offsets=[one.offset for one in said],
        ids=[one.id.encode() for one in said],
        times_ms=np.array([one.time_ms for one in said], np.int64),
        timestamps_ms=np.array([one.stamp_ms for one in said], np.int64),
        variants=[one.variant for one in said],
        said=[one.said for one in said],
    )


def label_rows(true: Sequence[True_]) -> LabelRows:
    return LabelRows(
        offsets=[one.offset for one in true],
        ids=[one.id.encode() for one in true],
        times_ms=[one.time_ms for one in true],
        timestamps_ms=[one.stamp_ms for one in true],
        actual=[one.actual for one in true],
    )
