"""What the workers say of themselves on /metrics."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Figures:
    """At one moment. ``latency_buckets``: cumulative counts by upper bound in seconds, of ``event_end_to_end_seconds``."""

    ready: bool = False
    lag: int = 0
    aborted: int = 0
    batches: int = 0
    records: int = 0
    latency_buckets: tuple[tuple[float, float], ...] = ()

    def latency_seconds(self, quantile: float, since: Figures) -> float | None:
        """The bucket bound below which that share of batches since then came out; None without any."""
        before = dict(since.latency_buckets)
        counts = [(bound, total - before.get(bound, 0)) for bound, total in self.latency_buckets]
        if not counts or counts[-1][1] <= 0:
            return None
        return next(bound for bound, total in counts if total >= quantile * counts[-1][1])


def read(port: int) -> Figures | None:
    """From a supervisor on this machine; None as long as it does not answer."""
    address = f"http://127.0.0.1:{port}"
    try:
        with urllib.request.urlopen(f"{address}/metrics", timeout=2) as answer:  # noqa: S310 - our own loopback port
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None
    return parse(text, ready=_is_ready(address))


def parse(text: str, *, ready: bool) -> Figures:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    totals: dict[str, float] = {}
    aborted = 0.0
    buckets: dict[float, float] = {}
    for sample in samples:
        totals[sample.name] = totals.get(sample.name, 0) + sample.value
        if sample.name == "worker_batches_total" and sample.labels.get("outcome") == "aborted":
            aborted += sample.value
        if sample.name == "event_end_to_end_seconds_bucket":
            buckets[float(sample.labels["le"])] = sample.value
    return Figures(
        ready=ready,
        lag=int(totals.get("consumer_lag_records", 0)),
        aborted=int(aborted),
        batches=int(totals.get("worker_batches_total", 0)),
        records=int(totals.get("worker_records_consumed_total", 0)),
        latency_buckets=tuple(sorted(buckets.items())),
    )


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:  # noqa: S310
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False
