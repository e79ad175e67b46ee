"""Reports and alerts as they are read back, for tests of what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.bootstrap import Reference
from worker.cli.drift_found import Found
from worker.drift.profile import ReferenceProfile, Series

HOUR_MS = 3_600_000
DIGEST = "ab" * 32
AMOUNT = Series("amount", "numeric", (1, 0, 2, 40, 50, 7), (0.0, 10.0, 20.0))
COUNTRY = Series("country", "category", (0, 0, 60, 40), categories=("de", "<fr>"))
PROFILE = ReferenceProfile((AMOUNT, COUNTRY), 3_600, 100)


def part(name: str, what: str, statistic: float, counts: tuple[int, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "what": what,
        "records": sum(counts),
        "statistic": statistic,
        "threshold": 0.2,
        "score": statistic / 0.2,
        "span": 1,
        "effect": statistic,
        "drifted": statistic > 0.2,
        "shown": {"psi": 0.25},
        "counts": list(counts),
    }


def report(hour: int, amount: float, *, judged: bool = True) -> dict[str, Any]:
    series = [part("amount", "distribution", amount, (0, 3, 10, 80, 7)), part("country", "unseen", 0.1, (1, 99))]
    return {
        "model_name": "fraud",
        "model_version": "1.0.0",
        "profile_digest": DIGEST,
        "window_start": hour * HOUR_MS,
        "window_end": (hour + 1) * HOUR_MS,
        "records": 100,
        "late": hour,
        "over": 0,
        "judged": judged,
        "note": "" if judged else "too few records",
        "series": series if judged else [],
        "estimated": {"accuracy": 0.75} if judged else {},
    }


def quality(hour: int, accuracy: float, *, variant: str = "primary", note: str = "") -> dict[str, Any]:
    return {
        "model_name": "fraud",
        "model_version": "1.0.0",
        "variant": variant,
        "window_start": hour * HOUR_MS,
        "window_end": (hour + 1) * HOUR_MS,
        "predictions": 100,
        "labelled": 90,
        "share_labelled": 0.9,
        "doubled": 2,
        "contradicting": 1,
        "unmatched": 3,
        "late": 0,
        "wrong": 10,
        "judged": not note,
        "note": note,
        "figures": {"accuracy": accuracy, "error_rate": 1 - accuracy},
        "reference": {"accuracy": 0.95, "error_rate": 0.05},
        "error_tolerated": 0.12,
        "score": 0.5,
        "drifted": False,
    }


def alert(event: str, hour: int, episode: str = "fraud 1.0.0 amount distribution") -> dict[str, Any]:
    return {
        "episode": episode,
        "event": event,
        "model_name": "fraud",
        "model_version": "1.0.0",
        "series": "amount",
        "what": "distribution",
        "severity": "major",
        "window_start": hour * HOUR_MS,
        "window_end": (hour + 1) * HOUR_MS,
        "statistic_name": "jensen_shannon",
        "statistic": 0.3,
        "span": 1,
        "null_quantile": 0.15,
        "threshold": 0.2,
        "effect": 0.3,
        "reference_records": 100,
        "window_records": 100,
        "bins": list(AMOUNT.labels()[1:]),
        "reference_counts": list(AMOUNT.counts[1:]),
        "window_counts": [0, 3, 10, 80, 7],
        "top_contributors": ["above 20", "0 to 10"],
    }


def found(reports: list[dict[str, Any]], alerts: list[dict[str, Any]], quality: Sequence[dict[str, Any]] = ()) -> Found:
    return Found(Reference("fraud", "1.0.0", PROFILE, DIGEST), reports, alerts, quality)
