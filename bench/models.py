"""The models that contenders serve: trained on events that are in no stream, packed as a user would pack them."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bench.events import Events, Shape, draw, encode
from worker.avro.decode import Decoder
from worker.avro.framing import frame_detected
from worker.avro.schema import parse_schema
from worker.columns import Columns, TextColumn
from worker.models import Manifest, TrainingRows, pack
from worker.records import RecordBatch, Slices
from worker.registry.files import SchemaFiles

TRAINING_EVENTS = 20_000
TEST_EVENTS = 2_000
MOST_VALUES = 40
FIRST_TRAINING_EVENT = 10**10
RANDOM_STATE = 1


class Model(enum.StrEnum):
    LOGISTIC = "logistic"
    FOREST = "forest"
    BOOSTING = "boosting"

    @property
    def label(self) -> str:
        """As tables name it."""
        labels = {Model.LOGISTIC: "logistic", Model.FOREST: "forest of 50", Model.BOOSTING: "boosting"}
        return labels[self]


def build(model: Model) -> Any:
    """Unfitted; each takes a matrix with NaN in it."""
    match model:
        case Model.LOGISTIC:
            return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000))
        case Model.FOREST:
            trees = RandomForestClassifier(50, min_samples_leaf=20, n_jobs=1, random_state=RANDOM_STATE)
            return make_pipeline(SimpleImputer(strategy="median"), trees)
        case Model.BOOSTING:
            return HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=RANDOM_STATE)


def pack_model(shape: Shape, model: Model, to: Path, *, counted: bool = False) -> Manifest:
    """Fit on events of the shape and write the bundle; ``counted``: with a profile of all fields."""
    training = draw(shape, FIRST_TRAINING_EVENT, TRAINING_EVENTS)
    test = draw(shape, FIRST_TRAINING_EVENT + TRAINING_EVENTS, TEST_EVENTS)
    estimator = build(model)
    with threadpool_limits(1):
        estimator.fit(training.matrix, training.labels)
    return pack(
        estimator,
        to=to,
        name=f"events-{shape.fields}-{model}",
        version="1.0.0",
        features=list(shape.features),
        schema=parse_schema(shape.schema),
        task="binary",
        positive_class="1",
        X_test=test.matrix,
        y_test=test.labels,
        profile=TrainingRows(_all_fields(shape, training)) if counted else None,
    )


def _all_fields(shape: Shape, events: Events) -> Columns:
    """Every field as a series: ids and customers have few values, or they would be none."""
    schema = parse_schema(shape.schema)
    files = SchemaFiles(schema, {})
    decoder = Decoder(schema, lambda batch: frame_detected(batch, files, 10_000))
    few = dataclasses.replace(events, first=0, customers=events.customers % MOST_VALUES)
    empty = Slices.of([None] * len(events))
    zeros = np.zeros(len(events), np.int64)
    decoded = decoder.decode(RecordBatch("events", zeros, zeros, zeros, empty, encode(shape, few)))
    ids = [f"event-{number % MOST_VALUES:012}" for number in range(len(events))]
    return decoded.columns.with_column("id", TextColumn.of(ids))
