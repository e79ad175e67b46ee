"""One model as it is watched: drift of what comes in and is predicted, and realised quality where labels are joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.drift.monitor import DriftMonitor
from worker.drift.outcome import Outcome
from worker.drift.sketch import Sketch
from worker.ports import Look
from worker.quality.monitor import QualityMonitor
from worker.quality.sketch import QualitySketch

AnySketch = Sketch | QualitySketch


@dataclass(frozen=True, slots=True)
class Watched:
    """``quality`` is None where no labels are joined: sketches of them are passed over then."""

    drift: DriftMonitor
    quality: QualityMonitor | None = None

    def absorb(self, sketch: AnySketch) -> None:
        """Sketches of an input partition have to come in the order in which they were committed."""
        if isinstance(sketch, Sketch):
            self.drift.absorb(sketch)
        elif self.quality is not None:
            self.quality.absorb(sketch)

    def close(self, partitions: int, look: Look | None = None) -> Outcome:
        """What the windows say that are over by now; ``look``: at the input, as of the sketches that were absorbed."""
        outcome = self.drift.close(look.idle if look else frozenset(), partitions)
        if self.quality is None:
            return outcome
        return outcome + self.quality.close(look.joined if look else frozenset(), partitions)

    def open_episodes(self) -> int:
        return self.drift.open_episodes() + self.open_concepts()

    def open_concepts(self) -> int:
        """Those of the episodes that are of concept drift."""
        return self.quality.open_episodes() if self.quality else 0

    def state(self) -> Any:
        """All that is remembered, as JSON can hold it."""
        state = self.drift.state()
        return state if self.quality is None else state | {"quality": self.quality.state()}


@dataclass(frozen=True, slots=True)
class Memory:
    """Whose monitor it is, and how one begins: afresh, or with a state that another one left.

    ``quality_of`` makes the part for labels of its state; None: of none yet.
    """

    model: str
    fresh: Callable[[], DriftMonitor]
    recalled: Callable[[Any], DriftMonitor]
    quality_of: Callable[[Any | None], QualityMonitor] | None = None

    def watched(self, state: Any | None = None) -> Watched:
        """Raises ValueError, KeyError or TypeError for what is no state.

        A state from before labels were joined has none of them.
        """
        drift = self.fresh() if state is None else self.recalled(state)
        known = None if state is None else state.get("quality")
        return Watched(drift, None if self.quality_of is None else self.quality_of(known))
