"""Train on January and February, validate on a part held out, and pack the bundle.

``python -m examples.flights.pack --to models/flights`` takes a few seconds; the gate refuses a model that ranks worse
than chance would, or predicts fewer late flights than it should.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from worker.avro.schema import Kind
from worker.columns import Column, Columns, NumberColumn, TextColumn
from worker.models import Feature, Manifest, TrainingRows, pack

from .flights import Flights, load
from .train import FEATURES, TRAINING_MONTHS, ModelKind, build_model, training_rows

VERSION = "1.0.0"
GATE = {"roc_auc": 0.85, "accuracy": 0.85, "precision": 0.7, "recall": 0.5}
TEXT = ("carrier", "origin", "destination")
WHOLE = ("scheduled_hour", "scheduled_weekday")
WINDOW_SECONDS = 86_400
"""Drift is looked for by the day: an hour of the morning is no hour of the evening, and has few flights."""


def features(kind: ModelKind) -> list[Feature]:
    """The features of a kind with their Avro types, in the model's order."""
    kinds = dict.fromkeys(TEXT, Kind.STRING) | dict.fromkeys(WHOLE, Kind.INT)
    return [Feature(name=name, kind=kinds.get(name, Kind.DOUBLE)) for name in FEATURES[kind]]


def pack_flights(to: Path, kind: ModelKind = ModelKind.BOOSTING, *, profiled: bool = True) -> Manifest:
    """Every fifth flight of the two months is held out for the gate; the model learns from the others.

    ``profiled``: with a reference profile, by which workers count for drift.
    """
    known = load(TRAINING_MONTHS)
    held_out = np.arange(len(known)) % 5 == 4
    training, test = (training_rows(known.take(rows), kind) for rows in (~held_out, held_out))
    model = build_model(kind)
    with threadpool_limits(1):
        model.fit(training.rows, training.labels)
    return pack(
        model,
        to=to,
        name=f"flights-{kind}",
        version=VERSION,
        features=features(kind),
        task="binary",
        positive_class="1",
        input="dataframe" if kind.takes_frame else "matrix",
        X_test=test.rows,
        y_test=test.labels,
        thresholds=GATE,
        profile=reference_rows(known) if profiled else None,
        replace=True,
    )


def reference_rows(flights: Flights) -> TrainingRows:
    """All that have departed, by day: live ones are counted as they take off, before anybody knows how they land."""
    departed = flights.take(flights.departed)
    columns = {name: _column(values) for name, values in departed.features.items()}
    return TrainingRows(Columns(columns, len(departed)), departed.scheduled_at_ms, WINDOW_SECONDS)


def _column(values: npt.NDArray[Any]) -> Column:
    """NaN stands for "no value", as null does in the events."""
    if values.dtype.kind == "U":
        return TextColumn.of(values.tolist(), is_bytes=False)
    null = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)
    return NumberColumn(values, null if null.any() else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("models/flights"), help="folder of the bundle")
    parser.add_argument("--kind", type=ModelKind, choices=list(ModelKind), default=ModelKind.BOOSTING)
    arguments = parser.parse_args()
    manifest = pack_flights(arguments.to, arguments.kind)
    print(f"{manifest.name} {manifest.version} is in {arguments.to}")


if __name__ == "__main__":
    main()
