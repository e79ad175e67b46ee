"""The metrics of a running worker, read back from its port."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from worker.errors import ConfigurationError
from worker.telemetry import catalogue as c

TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Scraped:
    """Sums over all series, since the processes started. ``busy_seconds``: of all stages. ``latency``: cumulative counts of
    ``event_end_to_end_seconds`` by upper bound in seconds.
    """

    records: float = 0.0
    busy_seconds: float = 0.0
    input_bytes: float = 0.0
    processes: float = 0.0
    latency: Mapping[float, float] = field(default_factory=dict)


def scrape(urls: Iterable[str]) -> Scraped | None:
    """Those that answer, summed; None: none does. Raises ConfigurationError for what is no URL."""
    texts = [text for url in urls if (text := _text(url)) is not None]
    return total_of(texts) if texts else None


def total_of(texts: Iterable[str]) -> Scraped:
    """Of pages in Prometheus's text format. Raises ValueError for any other."""
    sums: dict[str, float] = {}
    latency: dict[float, float] = {}
    bucket = f"{c.END_TO_END.name}_bucket"
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
                if sample.name == bucket:
                    bound = float(sample.labels["le"])
                    latency[bound] = latency.get(bound, 0.0) + sample.value
    return Scraped(
        records=sums.get(c.CONSUMED.name, 0.0),
        busy_seconds=sums.get(f"{c.STAGE_DURATION.name}_sum", 0.0),
        input_bytes=sums.get(c.INPUT_BYTES.name, 0.0),
        processes=sums.get(c.READY.name, 0.0),
        latency=dict(sorted(latency.items())),
    )


def quantile(now: Scraped, before: Scraped | None, share: float) -> float | None:
    """The bucket bound in seconds below which that share of batches came out since ``before``; None without any."""
    earlier = before.latency if before else {}
    counts = [(bound, count - earlier.get(bound, 0.0)) for bound, count in now.latency.items()]
    if not counts or counts[-1][1] <= 0:
        return None
    return next(bound for bound, count in counts if count >= share * counts[-1][1])


def _text(url: str) -> str | None:
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url!r} is no URL of metrics", hint="such as http://127.0.0.1:9464/metrics")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked above
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError, ValueError):
        return None
