"""Trains on seven days of readings and packs the bundle: ``python train.py``."""

from __future__ import annotations

from pathlib import Path

from readings import FEATURES, readings
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from worker.avro.schema import parse_schema
from worker.models import TrainingRows, pack
from worker.models.manifest import sha256

HERE = Path(__file__).parent
BUNDLE = HERE / "models" / "starter"


def main() -> None:
    training, unseen = readings(1, 6), readings(7, 1)
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    model.fit(training.rows, training.outcomes)
    manifest = pack(
        model,
        to=BUNDLE,
        name="starter",
        version="1.0.0",
        features=FEATURES,
        schema=parse_schema((HERE / "schemas" / "reading.avsc").read_text(encoding="utf-8")),
        X_test=unseen.rows,
        y_test=unseen.outcomes,
        positive_class="service",
        thresholds={"roc_auc": 0.75},  # a worse model is not packed
        profile=TrainingRows(training.rows, training.times_ms, window_seconds=3_600),
        replace=True,
    )
    figures = ", ".join(f"{name} {value:.3f}" for name, value in manifest.metrics.items())
    print(f"{manifest.name} {manifest.version}: {figures}")
    print(f"pin it under [model]: digest = {sha256(manifest.to_json())!r}")


if __name__ == "__main__":
    main()
