"""What the workers of the test predict: the chaos tests' stream, and a model of it that costs as much as is wanted."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from confluent_kafka import Producer
from sklearn.decomposition import KernelPCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from examples.flights.replay import AvroEncoder
from tests.chaos.stream import GOOD, SCHEMA, Stream, expected_score
from worker.avro.schema import parse_schema
from worker.columns import Columns, NumberColumn
from worker.models import TrainingRows, pack
from worker.shipped import shipped

WINDOW_SECONDS = 60
TRAINING_MINUTES = 40
ROWS = 4_000


def pack_readings(to: Path, *, kernels: int = 0, replace: bool = False) -> None:
    """A bundle with a reference profile. Each of the ``kernels`` makes a row about 40 µs dearer, and no score different."""
    random = np.random.default_rng(0)
    x, y = random.random(ROWS) * 1_000, random.random(ROWS)
    rows, target = np.column_stack([x, y]), expected_score(x, y)
    dear = (KernelPCA(2, kernel="rbf", eigen_solver="randomized", random_state=seed) for seed in range(kernels))
    steps = make_union(FunctionTransformer(np.sqrt), *dear)
    times = 1_700_000_040_000 + np.arange(len(x)) * (TRAINING_MINUTES * WINDOW_SECONDS * 1_000 // len(x))
    pack(
        make_pipeline(steps, LinearRegression()).fit(rows, target),
        to=to,
        name="readings",
        version="1.0.0",
        X_test=rows[:500],
        y_test=target[:500],
        features=["x", "y"],
        schema=parse_schema(SCHEMA),
        task="regression",
        profile=TrainingRows(Columns({"x": NumberColumn(x), "y": NumberColumn(y)}, len(x)), times, WINDOW_SECONDS),
        replace=replace,
    )


def produce_labels(bootstrap: str, topic: str, stream: Stream) -> int:
    """The truth of every good event, in the partition that the event is in; how many."""
    encode, now_ms = AvroEncoder(shipped("schemas/label.avsc")), time.time_ns() // 1_000_000
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})
    rows = np.flatnonzero(stream.reason == GOOD).tolist()
    for i in rows:
        label = {"event_id": stream.event_id[i], "label": None, "value": float(stream.score[i]), "time": now_ms}
        producer.produce(f"{topic}.labels", encode(label), stream.key[i], int(stream.partition[i]))
        producer.poll(0)
    assert producer.flush(60) == 0
    return len(rows)
