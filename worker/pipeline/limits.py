"""Dead-letter limits that really stop: judged before each commit, and remembered over restarts.

The counters of a partition travel in the metadata of its committed offset, so a bad deploy can't dead-letter a topic in
slices over restarts, and the outcome does not depend on how many workers share the partitions. Once a limit has
tripped, that is committed too (with the offset unmoved), and nothing moves on until the digest of model, schema and
settings changes or the partition is resumed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from worker.errors import DeadLetterLimit
from worker.pipeline.partition_state import Counters, PartitionState
from worker.records import BoolArray, RecordBatch, Refusals, TopicPartition


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """``max_ratio`` 1 and ``max_consecutive`` 0 stand for no limit; ``digest`` names what a trip is the fault of."""

    digest: str
    max_ratio: float = 0.5
    window_records: int = 1_000
    max_consecutive: int = 1_000


@dataclass(slots=True)
class DeadLetterLimits:
    """The counters of the partitions that are ours."""

    policy: LimitPolicy
    _counters: dict[TopicPartition, Counters] = field(default_factory=dict)

    def assigned(self, states: Mapping[TopicPartition, PartitionState]) -> None:
        """Take partitions on as they were left; what was counted under another digest is forgotten.

        Raises DeadLetterLimit for one that had tripped.
        """
        ours = self.policy.digest
        self._counters.update({tp: s.counters if s.digest == ours else Counters() for tp, s in states.items()})
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
        refused = None
        if refusals:
            refused = np.zeros(len(batch), np.bool_)
            refused[refusals.rows] = True
        after = {}
        for partition, records in batch.counts():
            tp = TopicPartition(batch.topic, partition)
            among = None if refused is None else refused[batch.partition == partition]
            after[tp] = self._advanced(self._counters.get(tp, Counters()), records, among)
        return after

    def before(self, after: Mapping[TopicPartition, Counters]) -> dict[TopicPartition, Counters]:
        """The counters of the same partitions as they stand now; accepted again, they undo ``after``."""
        return {tp: self._counters.get(tp, Counters()) for tp in after}

    def accept(self, counters: Mapping[TopicPartition, Counters]) -> None:
        self._counters.update(counters)

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


HINT = "look at `dlq list`; then change the model, schema or settings, or say `dlq resume`"


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
