"""Streams without drift, or with a shift in one of their features, and what is counted of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from worker.columns import Column, Columns, NumberColumn, Scores, TextColumn
from worker.columns.text import padded
from worker.drift.binning import Binning
from worker.drift.profile import ReferenceProfile
from worker.drift.reference import reference_of
from worker.drift.sketch import Range, Sketch, WindowCounts
from worker.records import FloatArray, IntArray

NUMERIC, CATEGORIES = 40, 10
FEATURES = NUMERIC + CATEGORIES
WINDOW_SECONDS, WINDOW_RECORDS = 3_600, 1_000
BLOCKS = 60
SHIFTS, SHIFT_FROM = (0.2, 0.35, 0.5), 40
DIGEST = "bench"
SHIFTED = "feature_0"
_LEVELS = np.array([-1.5, -0.5, 0.0, 0.7, 1.6])
_NAMES = [f"level {i}" for i in range(len(_LEVELS) + 1)]
_CHUNK = 40
_NULL_RATE = 0.02


@dataclass(frozen=True, slots=True)
class Kind:
    """How records depend on one another; deviations are those of the noise of one record.

    ``phi``: of an autoregression from record to record. ``cycle``: amplitude of a mean that goes round in 24 windows, each
    feature at its own hour. ``wander``: deviation of a mean that goes from window to window, an autoregression of 0.9.
    """

    title: str
    phi: float = 0.0
    cycle: float = 0.0
    wander: float = 0.0

    @property
    def deviation(self) -> float:
        return float(np.sqrt(1 + self.cycle**2 / 2 + self.wander**2))


INDEPENDENT = Kind("independent")
AR = Kind("AR(1) 0.9 by record", phi=0.9)
CYCLE = Kind("daily cycle", cycle=0.5)
BOTH = Kind("AR(1) and daily cycle", phi=0.9, cycle=0.5)
KINDS = (INDEPENDENT, AR, CYCLE, BOTH)
SLOW = Kind("AR(1) 0.9 by window", wander=0.3)
WANDER_PHI = 0.9


class Stream:
    """Windows one after another, of 40 numeric features (every other with nulls) and 10 of six categories, and a score."""

    def __init__(self, kind: Kind, seed: int, window_records: int) -> None:
        self.kind, self.window_records = kind, window_records
        self._rng = np.random.default_rng(seed)
        self._hours = self._rng.random(FEATURES)
        self._past = self._rng.standard_normal((1, FEATURES))
        self._mean = self._rng.standard_normal(FEATURES)
        self._window = 0

    def windows(self, count: int, shift: float = 0.0) -> tuple[Columns, Scores]:
        """The next ``count`` windows' records; ``shift``, of the first feature, in standard deviations."""
        means = np.stack([self._next_mean() for _ in range(count)])
        means[:, 0] += shift * self.kind.deviation
        noise = self._rng.standard_normal((count * self.window_records, FEATURES))
        if phi := self.kind.phi:
            noise, past = lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise, axis=0, zi=self._past)
            self._past = past
        latent = noise + np.repeat(means, self.window_records, axis=0)
        columns: dict[str, Column] = {f"feature_{i}": self._numbers(i, latent[:, i]) for i in range(NUMERIC)}
        columns |= {f"feature_{i}": _categories(latent[:, i]) for i in range(NUMERIC, FEATURES)}
        return Columns(columns, len(latent)), Scores(1 / (1 + np.exp(-latent[:, :5].mean(axis=1))))

    def _next_mean(self) -> FloatArray:
        step = self._rng.standard_normal(FEATURES)
        self._mean = WANDER_PHI * self._mean + np.sqrt(1 - WANDER_PHI**2) * step
        turn = 2 * np.pi * (self._window / 24 + self._hours)
        self._window += 1
        mean: FloatArray = self.kind.cycle * np.sin(turn) + self.kind.wander * self._mean
        return mean

    def _numbers(self, i: int, values: FloatArray) -> NumberColumn:
        null = self._rng.random(len(values)) < _NULL_RATE if i % 2 else None
        return NumberColumn(np.ascontiguousarray(values), null)


def _categories(values: FloatArray) -> TextColumn:
    ends = np.cumsum([len(name) for name in _NAMES])
    codes = np.searchsorted(_LEVELS, values)
    return TextColumn(padded("".join(_NAMES).encode()), (ends - len(_NAMES[0]))[codes], ends[codes], is_ascii=True)


def profile_of(stream: Stream, blocks: int) -> ReferenceProfile:
    """Of the stream's next windows, as the training period."""
    columns, scores = stream.windows(blocks)
    times_ms = np.repeat(np.arange(blocks, dtype=np.int64), stream.window_records) * WINDOW_SECONDS * 1_000
    return reference_of(columns, scores, times_ms=times_ms, window_seconds=WINDOW_SECONDS)


def counted(
    stream: Stream, profile: ReferenceProfile, windows: int, shift_from: int, shift: float
) -> Iterator[IntArray]:
    """Counts of each of the next windows by place in all bins; the shift begins with window ``shift_from``."""
    binning = Binning(profile)
    for first in range(0, windows, _CHUNK):
        count = min(_CHUNK, windows - first)
        before = min(count, max(0, shift_from - first))
        for part, by in ((before, 0.0), (count - before, shift)):
            if part:
                columns, scores = stream.windows(part, by)
                group = np.repeat(np.arange(part, dtype=np.int64), stream.window_records)
                yield from binning.counts(columns, scores, group, part)


def sketch_of(window: int, counts: IntArray, records: int) -> Sketch:
    """The sketch of a whole window, as if one transaction had counted it."""
    start_ms, bins = window * WINDOW_SECONDS * 1_000, np.flatnonzero(counts)
    offsets = Range(0, window * records, (window + 1) * records, start_ms + WINDOW_SECONDS * 1_000)
    whole = WindowCounts(0, start_ms, records, bins, counts[bins])
    return Sketch("bench", "1", DIGEST, WINDOW_SECONDS, 0, "events", (offsets,), (whole,))
