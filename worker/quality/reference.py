"""The model's quality on rows that were held out from training, as the bundle holds it (``reference_quality.json``)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from worker.quality.scoring import Actual, Predicted, Scoring
from worker.quality.tally import WRONG, Tally, figures

FORMAT_VERSION: Final = 1
USUAL_ERROR: Final = 0.9
"""Of a regression's held-out rows so many are closer than ``wrong_beyond``."""


@dataclass(frozen=True, slots=True)
class QualityReference:
    """``wrong`` of ``records`` rows; ``figures`` by name. ``wrong_beyond``: of a regression, how far off is wrong."""

    records: int
    wrong: int
    figures: Mapping[str, float]
    wrong_beyond: float | None = None

    @property
    def error_rate(self) -> float:
        return self.wrong / self.records

    def to_json(self) -> str:
        """Readable; the same quality gives the same text."""
        return json.dumps({"format": FORMAT_VERSION, **asdict(self)}, indent=1, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> QualityReference:
        """Raises ValueError for a text that is none, or of another format."""
        try:
            known = json.loads(text)
            if known["format"] != FORMAT_VERSION:
                raise ValueError(f"format {known['format']}, and this version reads {FORMAT_VERSION}")
            found = QualityReference(
                int(known["records"]), int(known["wrong"]), dict(known["figures"]), known["wrong_beyond"]
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no quality of held-out rows: {error!r}") from None
        if not 0 <= found.wrong <= found.records or found.records < 1:
            raise ValueError("no quality of held-out rows: more are wrong than there are")
        return found


def quality_reference(scoring: Scoring, pairs: Iterable[tuple[Predicted, Actual]]) -> QualityReference:
    """Of held-out rows, one at least: what was said and what was true.

    A regression is called wrong where it is further off than ``USUAL_ERROR`` of these rows.
    """
    known = list(pairs)
    beyond = (
        _usual_error([abs(said.score - actual) for said, actual in known]) if scoring.task == "regression" else None
    )
    if beyond is not None:
        scoring = replace(scoring, wrong_beyond=beyond)
    tally = Tally()
    tally.take(scoring, known)
    found = {name: value for name, value in figures(tally, scoring).items() if math.isfinite(value)}
    return QualityReference(len(known), tally[WRONG], found, beyond)


def _usual_error(errors: Sequence[float]) -> float:
    return float(np.quantile(np.array(errors), USUAL_ERROR, method="higher"))
