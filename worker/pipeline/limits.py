"""Dead-letter limits that really stop: judged before each commit, and remembered over restarts.

The counters of a partition travel in the metadata of its committed offset, so a bad deploy can't dead-letter a topic in
slices over restarts, and the outcome does not depend on how many workers share the partitions. Once a limit has
tripped, that is committed too (with the offset unmoved), and nothing moves on until the digest of model, schema and
settings changes or the partition is resumed by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from worker.errors import DeadLetterLimit
from worker.records import BoolArray, RecordBatch, Refusals, TopicPartition

_VERSION = 1


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """``max_ratio`` 1 and ``max_consecutive`` 0 stand for no limit; ``digest`` names what a trip is the fault of."""

    digest: str
    max_ratio: float = 0.5
    window_records: int = 1_000
    max_consecutive: int = 1_000


@dataclass(frozen=True, slots=True)
class Counters:
    """Of one partition: recent records, how many of them were refused, and how many at the end in a row."""

    seen: int = 0
    refused: int = 0
    consecutive: int = 0
    tripped: str = ""


@dataclass(slots=True)
class DeadLetterLimits:
    """The counters of the partitions that are ours."""

    policy: LimitPolicy
    _counters: dict[TopicPartition, Counters] = field(default_factory=dict)

    def assigned(self, committed: Mapping[TopicPartition, str]) -> None:
        """Take partitions on, with the metadata committed for them. Raises DeadLetterLimit for one that had tripped."""
        self._counters.update({tp: self._parse(text) for tp, text in committed.items()})
        stopped = {tp: counters.tripped for tp, counters in self._counters.items() if counters.tripped}
        if stopped:
            where = "; ".join(f"{tp}: {why}" for tp, why in sorted(stopped.items()))
            raise DeadLetterLimit(
                f"the dead-letter limit was reached before, and nothing has changed since ({where})", hint=HINT
            )

    def unassigned(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            self._counters.pop(partition, None)

    def judge(self, batch: RecordBatch, refusals: Refusals) -> dict[TopicPartition, Counters]:
        """The counters as they stand after the batch; ``accept`` them once it is committed.

        A partition over its limit comes back with ``tripped`` set; nothing of the batch may then be committed.
        """
        refused = np.zeros(len(batch), np.bool_)
        refused[refusals.rows] = True
        after = {}
        for partition, records in enumerate(np.bincount(batch.partition).tolist()):
            if not records:
                continue
            tp = TopicPartition(batch.topic, partition)
            among = refused[batch.partition == partition] if refusals else None
            after[tp] = self._advanced(self._counters.get(tp, Counters()), records, among)
        return after

    def accept(self, counters: Mapping[TopicPartition, Counters]) -> None:
        self._counters.update(counters)

    def metadata(self, counters: Mapping[TopicPartition, Counters]) -> dict[TopicPartition, str]:
        """What is committed beside the offsets."""
        return {tp: self._text(c) for tp, c in counters.items()}

    def _advanced(self, before: Counters, records: int, refused: BoolArray | None) -> Counters:
        """After so many records, of which ``refused`` were (None: none was).

        The window forgets by halving, so that it always spans between one and two windows of records.
        """
        policy, seen, bad = self.policy, before.seen + records, before.refused
        longest, last = before.consecutive, 0
        if refused is not None:
            bad += int(refused.sum())
            longest, last = _runs(refused, before.consecutive)
        if policy.max_consecutive and longest >= policy.max_consecutive:
            return Counters(seen, bad, last, f"{longest} refused in a row")
        if policy.max_ratio < 1 and seen >= policy.window_records and bad > policy.max_ratio * seen:
            return Counters(seen, bad, last, f"{bad} of {seen} refused")
        while seen >= 2 * policy.window_records:
            seen, bad = seen // 2, bad // 2
        return Counters(seen, bad, last)

    def _text(self, counters: Counters) -> str:
        tripped = f',"tripped":{json.dumps(counters.tripped)}' if counters.tripped else ""
        seen, refused, run = counters.seen, counters.refused, counters.consecutive
        # Written for each partition of each batch, so not by way of a dictionary.
        return f'{{"v":{_VERSION},"digest":{json.dumps(self.policy.digest)},"seen":{seen},"refused":{refused},"run":{run}{tripped}}}'

    def _parse(self, text: str) -> Counters:
        """The counters that somebody committed; another digest, or foreign metadata, starts afresh."""
        try:
            known = json.loads(text)
            if known["v"] != _VERSION or known["digest"] != self.policy.digest:
                return Counters()
            return Counters(int(known["seen"]), int(known["refused"]), int(known["run"]), str(known.get("tripped", "")))
        except (ValueError, KeyError, TypeError):
            return Counters()


HINT = "look at `dlq list`; then change the model, schema or settings, or say `dlq resume`"


def tripped(text: str) -> str:
    """Why the partition with this committed metadata had stopped; empty if it had not."""
    try:
        known = json.loads(text)
        return str(known.get("tripped", "")) if known["v"] == _VERSION else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _runs(refused: BoolArray, carried: int) -> tuple[int, int]:
    """The longest run of refused records, and the one at the end; both may begin with the ``carried`` ones before."""
    good = np.flatnonzero(~refused)
    if not len(good):
        run = carried + len(refused)
        return run, run
    edges = np.concatenate(([-1], good, [len(refused)]))
    runs = np.diff(edges) - 1
    runs[0] += carried
    return int(runs.max()), int(runs[-1])
