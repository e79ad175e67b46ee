"""The model's quality on held-out rows in a bundle, ``reference_quality.json``; and how live predictions are scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from worker.columns import Scores
from worker.errors import ModelError
from worker.models.manifest import QUALITY, Manifest
from worker.quality.reference import QualityReference, quality_reference
from worker.quality.scoring import Actual, Predicted, Scoring


def scoring_of(manifest: Manifest, reference: QualityReference | None = None, *, limit: float = 0.1) -> Scoring:
    """By the manifest's task and classes; a regression is wrong where the reference says so, or else beyond ``limit``."""
    scoring = Scoring(manifest.task, manifest.classes, manifest.positive_class, limit=limit, wrong_beyond=limit)
    if reference is None or reference.wrong_beyond is None:
        return scoring
    return replace(scoring, wrong_beyond=reference.wrong_beyond)


def held_out_quality(scores: Scores, truth: npt.NDArray[Any], manifest: Manifest) -> QualityReference:
    """Of served predictions; ``truth`` is what ``gate.encoded`` returns: 1 for the positive class, an index, or a value."""
    scoring = scoring_of(manifest)
    positive = scoring.positive_index
    labels = [-1] * len(scores) if scores.label is None else scores.label.tolist()
    given: list[tuple[float, ...]] = [()] * len(scores)
    if manifest.task == "multiclass" and scores.probabilities is not None:
        given = list(map(tuple, scores.probabilities.tolist()))
    said = [Predicted(*one) for one in zip(labels, scores.score.tolist(), given, strict=True)]
    actual: list[Actual] = truth.tolist()
    if manifest.task == "binary":
        actual = [positive if one else 1 - positive for one in actual]
    return quality_reference(scoring, zip(said, actual, strict=True))


def quality_of(files: Mapping[str, bytes]) -> QualityReference | None:
    """A bundle's, if it has one. Raises ModelError for one that can't be read."""
    content = files.get(QUALITY)
    if content is None:
        return None
    try:
        return QualityReference.from_json(content.decode())
    except ValueError as error:
        raise ModelError(
            f"{QUALITY} can't be read: {error}", hint="pack the model again with this version of prediction-worker"
        ) from None
