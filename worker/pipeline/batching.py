"""How many records the next batch may hold: more while there is a backlog, within a latency target and a memory bound.

A batch of n records takes about a + b·n seconds: a is the transaction, b a record's work. Under a backlog large batches
make the worker fast, and without one a batch is simply what is there. a and b are learned from the batches as they go
by (least squares with forgetting); the size is then the largest that keeps within the target. Where a alone takes more
than half of the target, smaller batches would not be quicker, only fewer: b·n then gets half of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.ports import FetchLimit
from worker.records import value_class

FIRST_BATCH_RECORDS = 256
SMALLEST_BATCH_RECORDS = 16
_MEMORY = 0.9  # the weight of what was learned before, against the newest batch
_PRIOR = 0.01  # how much spread of sizes it takes, relative to their square, to tell a from b


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """``poll_seconds`` is how long an idle poll waits for a first record."""

    latency_target_seconds: float
    max_batch_records: int
    max_batch_bytes: int
    poll_seconds: float = 0.5


@value_class
class CostCurve:
    """Moments of (records, seconds) over recent batches, exponentially forgotten; ``work``: seconds before delivery."""

    weight: float = 0.0
    n: float = 0.0
    t: float = 0.0
    nn: float = 0.0
    nt: float = 0.0
    work: float = 0.0

    def after(self, records: int, seconds: float, deliver_seconds: float) -> CostCurve:
        keep = _MEMORY
        return CostCurve(
            keep * self.weight + 1,
            keep * self.n + records,
            keep * self.t + seconds,
            keep * self.nn + records * records,
            keep * self.nt + records * seconds,
            keep * self.work + seconds - deliver_seconds,
        )

    def fit(self) -> tuple[float, float]:
        """(a, b) in seconds and seconds a record, both at least 0; before any batch (0, 0)."""
        if not self.weight:
            return 0.0, 0.0
        mean_n, mean_t = self.n / self.weight, self.t / self.weight
        variance = self.nn / self.weight - mean_n**2
        covariance = self.nt / self.weight - mean_n * mean_t
        # Batches of one size don't tell the two apart: then all but the delivery is taken to be the records'.
        prior = _PRIOR * mean_n**2
        slope = (covariance + prior * self.work / self.n) / (variance + prior)
        slope = min(max(slope, 0.0), mean_t / mean_n)
        return mean_t - slope * mean_n, slope


@value_class
class BatchSize:
    """The controller's state: the records the next batch may hold, and what was learned so far."""

    policy: BatchingPolicy
    records: int = FIRST_BATCH_RECORDS
    mean_bytes: float = 0.0
    cost: CostCurve = CostCurve()

    def limit(self) -> FetchLimit:
        policy = self.policy
        by_memory = policy.max_batch_bytes // max(1, int(self.mean_bytes))
        records = max(1, min(self.records, policy.max_batch_records, by_memory))
        return FetchLimit(records, policy.max_batch_bytes, policy.poll_seconds)

    def after(self, records: int, size_bytes: int, seconds: float, deliver_seconds: float) -> BatchSize:
        """The state after a batch of so many records and bytes took so long from its poll's return to its commit.

        ``deliver_seconds`` of it went by in the delivery.

        Grows at most twofold, and only after a full batch: what was never tried is not extrapolated far.
        """
        full = records >= self.limit().max_records
        cost = self.cost.after(records, seconds, deliver_seconds)
        fixed, each = cost.fit()
        target = self.policy.latency_target_seconds
        budget = max(target - fixed, target / 2)
        most = min(2 * self.records if full else self.records, self.policy.max_batch_records)
        best = int(budget / each) if each * most > budget else most
        size = max(SMALLEST_BATCH_RECORDS, best)
        return BatchSize(self.policy, size, size_bytes / records, cost)
