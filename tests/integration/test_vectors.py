"""Arrays as features on a real Kafka: what a producer writes, what the model says, what the dead letters say."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all, read_all
from tests.support.waiting import wait_until
from worker.avro.schema import parse_schema
from worker.broker.topics import create_topics
from worker.cli import app
from worker.cli.verdicts import output_schemas
from worker.models import pack
from worker.records import Record

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Search",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "embedding", "type": {"type": "array", "items": "float"}, "minItems": 4, "maxItems": 4},
        {"name": "counts", "type": {"type": "array", "items": "int"}, "maxItems": 8, "minimum": 0},
    ],
}
GOOD: dict[str, Any] = {"embedding": [0.5, -1.0, 2.0, 0.0], "counts": [3, 1]}
# What breaks a rule, and the reason, field and rule that its dead letter names.
BAD: list[tuple[dict[str, Any], str, str, str]] = [
    ({"embedding": []}, "too_short", "embedding", "has fewer items than minItems 4"),
    ({"embedding": [1.0] * 5}, "too_long", "embedding", "has more items than maxItems 4"),
    ({"embedding": [1.0, float("nan"), 1.0, 1.0]}, "not_finite", "embedding", "has an item that is NaN or infinite"),
    ({"counts": [1, -1]}, "below_minimum", "counts", "has an item that is below minimum 0"),
    ({"counts": [1] * 900_000}, "too_long", "counts", "has more items than maxItems 8"),
    ({"counts": []}, "too_short", "counts", "has fewer items than the model's 2"),
]
ROWS = 400


def value(number: int, change: dict[str, Any]) -> bytes:
    out = io.BytesIO(b"\xc3\x01" + parse_schema(json.dumps(SCHEMA)).fingerprint)
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), {"id": str(number), **GOOD, **change})
    return out.getvalue()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A model on four numbers of one array and two of another, whose length only the model knows."""
    rows = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32).astype(np.float64)
    rows[:, 4:] = rows[:, 4:].round()
    wanted = (rows @ [1, 2, -1, 1, 1, -1] > 0).astype(int)
    model, to = LogisticRegression().fit(rows, wanted), tmp_path_factory.mktemp("bundle") / "search"
    pack(
        model,
        to=to,
        name="search",
        version="1.0.0",
        schema=parse_schema(json.dumps(SCHEMA)),
        features=["embedding", "counts[0]", "counts[1]"],
        X_test=rows[:60],
        y_test=wanted[:60],
    )
    return to, model


def test_vectors(tmp_path: Path, kafka: KafkaUnderTest, make_topic: MakeTopic, bundle: tuple[Path, Any]) -> None:
    """Good vectors are predicted as the model does, each bad one is a dead letter; ``inspect`` says the same of it."""
    folder, model = bundle
    topic = make_topic()
    create_topics(kafka.bootstrap, {f"{topic}.predictions": 1, f"{topic}.dlq": 1})
    (tmp_path / "search.avsc").write_text(json.dumps(SCHEMA))
    settings = tmp_path / "worker.toml"
    settings.write_text(
        f"""
        kafka = {{ bootstrap = "{kafka.bootstrap}", group = "{topic}" }}
        topics = {{ input = "{topic}" }}
        event = {{ schema = "search.avsc", id = "id" }}
        model = {{ bundle = "{folder}" }}
        dead_letters = {{ max_ratio = 1, max_consecutive = 0 }}
        telemetry = {{ port = 0 }}
        """,
        encoding="utf-8",
    )
    bad = {20 + 50 * i: case for i, case in enumerate(BAD)}
    good: dict[int, list[float]] = {n: [n / 100, -1.0, 2.0, 0.5] for n in range(ROWS) if n not in bad}
    values = [value(n, {"embedding": good[n]} if n in good else bad[n][0]) for n in range(ROWS)]
    produce_all(kafka.bootstrap, topic, [Record("", 0, 0, 0, None, item) for item in values])

    command = [sys.executable, "-m", "worker", "run", "--config", str(settings)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as worker:
        try:
            wait_until(lambda: len(read_all(kafka.bootstrap, f"{topic}.predictions")) == len(good), 60)
        finally:
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate(timeout=40)
    assert worker.returncode == 0, log

    known = output_schemas()
    said = [known.read(record.value or b"") for record in read_all(kafka.bootstrap, f"{topic}.predictions")]
    rows = np.array([[*good[n], 3, 1] for n in sorted(good)], np.float32)
    assert [int(one["event_id"]) for one in said] == sorted(good)
    np.testing.assert_allclose([one["score"] for one in said], model.predict_proba(rows)[:, 1], atol=1e-9)

    letters = read_all(kafka.bootstrap, f"{topic}.dlq")
    assert [letter.value for letter in letters] == [values[n] for n in bad]
    headers = [dict(letter.headers) for letter in letters]
    assert [(h["reason"], h["field"]) for h in headers] == [(r.encode(), f.encode()) for _, r, f, _ in bad.values()]

    arguments = ["inspect", "-c", str(settings), "--json", "--predict", "--last", str(ROWS), "--only", "refused"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [line["detail"] for line in lines] == [f"{name}: {rule}" for _, _, name, rule in bad.values()]
