"""Train on January and February, validate on a part held out, and pack the bundle.

``python -m examples.flights.pack --to models/flights`` takes a few seconds; the gate refuses a model that ranks worse
than chance would, or predicts fewer late flights than it should.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from worker.avro.schema import Kind
from worker.models import Feature, Manifest, pack

from .flights import load
from .train import FEATURES, TRAINING_MONTHS, ModelKind, build_model, training_rows

VERSION = "1.0.0"
GATE = {"roc_auc": 0.85, "accuracy": 0.85, "precision": 0.7, "recall": 0.5}
TEXT = ("carrier", "origin", "destination")
WHOLE = ("scheduled_hour", "scheduled_weekday")


def features(kind: ModelKind) -> list[Feature]:
    """The features of a kind with their Avro types, in the model's order."""
    kinds = dict.fromkeys(TEXT, Kind.STRING) | dict.fromkeys(WHOLE, Kind.INT)
    return [Feature(name=name, kind=kinds.get(name, Kind.DOUBLE)) for name in FEATURES[kind]]


def pack_flights(to: Path, kind: ModelKind = ModelKind.BOOSTING) -> Manifest:
    """Every fifth flight of the two months is held out for the gate; the model learns from the others."""
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
        replace=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("models/flights"), help="folder of the bundle")
    parser.add_argument("--kind", type=ModelKind, choices=list(ModelKind), default=ModelKind.BOOSTING)
    arguments = parser.parse_args()
    manifest = pack_flights(arguments.to, arguments.kind)
    print(f"{manifest.name} {manifest.version} is in {arguments.to}")


if __name__ == "__main__":
    main()
