"""A group while its load changes: replicas, lag and rates by the second, what they must obey, and a picture of them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.svg import line_chart, stacked
from tests.deploy.kubernetes.bed import BedError
from tests.deploy.kubernetes.field import NAME, Field

INTERVAL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Moment:
    """``wanted`` is what the autoscaler has set, ``ready`` how many work; counts are since the beginning."""

    seconds: float
    wanted: int
    ready: int
    lag: int
    produced: int
    committed: int


@dataclass(slots=True)
class Timeline:
    """Samples in a thread while it is entered."""

    observed: Field
    moments: list[Moment] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def latest(self) -> Moment:
        return self.moments[-1]

    def wanted(self) -> list[int]:
        """The numbers that the autoscaler has set, one after the other, each other than the one before."""
        numbers = [moment.wanted for moment in self.moments]
        return [number for k, number in enumerate(numbers) if k == 0 or number != numbers[k - 1]]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps([asdict(moment) for moment in self.moments]), "utf-8")

    def _sample(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(INTERVAL_SECONDS):
            try:
                deployment = self.observed.get("deployment", NAME)
            except BedError:
                continue  # a busy machine: the next sample will do
            committed, produced = self.observed.offsets.total(), self.observed.producer.produced
            self.moments.append(
                Moment(
                    round(time.monotonic() - began, 1),
                    deployment["spec"].get("replicas", 0),
                    deployment["status"].get("readyReplicas", 0),
                    max(0, produced - committed),
                    produced,
                    committed,
                )
            )


def turns(numbers: Sequence[int]) -> int:
    """How often a rise is followed by a fall, or a fall by a rise: 1 for up and down again, more for a group that swings."""
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    return sum(before * after < 0 for before, after in itertools.pairwise(steps))


def chart(title: str, moments: Sequence[Moment]) -> str:
    """SVG: replicas, lag and rates over minutes, one below the other."""
    minutes = [moment.seconds / 60 for moment in moments]
    replicas = {
        "set by the autoscaler": _steps(minutes, [moment.wanted for moment in moments]),
        "ready": _steps(minutes, [moment.ready for moment in moments]),
    }
    rates = {
        "produced": _rates(moments, [moment.produced for moment in moments]),
        "predicted": _rates(moments, [moment.committed for moment in moments]),
    }
    lag = {"": list(zip(minutes, [moment.lag for moment in moments], strict=True))}
    return stacked(
        line_chart(title, "minutes", "workers", replicas, marks=False),
        line_chart("Lag", "minutes", "records", lag, marks=False),
        line_chart("Rate", "minutes", "events/s", rates, marks=False),
    )


def _steps(minutes: Sequence[float], numbers: Sequence[int]) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for at, number in zip(minutes, numbers, strict=True):
        if points:
            points.append((at, points[-1][1]))
        points.append((at, number))
    return points


def _rates(moments: Sequence[Moment], counts: Sequence[int], over: int = 5) -> list[tuple[float, float]]:
    """Over so many samples, at the middle of them."""
    return [
        (
            (moments[k].seconds + moments[k + over].seconds) / 120,
            (counts[k + over] - counts[k]) / (moments[k + over].seconds - moments[k].seconds),
        )
        for k in range(len(moments) - over)
    ]


def main(arguments: Sequence[str]) -> None:
    """``python -m tests.deploy.kubernetes.timeline TITLE FILE.json`` prints the picture."""
    title, file = arguments
    print(chart(title, [Moment(**moment) for moment in json.loads(Path(file).read_text("utf-8"))]))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
