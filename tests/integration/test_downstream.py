"""The whole program on a real Kafka, seen from outside: its output topics, its metrics, its end."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import urllib.request
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from examples.flights.events import encoded
from examples.flights.flights import load
from examples.flights.pack import pack_flights
from examples.flights.replay import AvroEncoder, replay
from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import read_all
from tests.support.waiting import wait_until
from worker.broker.ports import free
from worker.broker.topics import create_topics

SCHEMAS = Path("schemas")
FLIGHTS = 3_000
DAYS = 3  # that are over with the last of these flights


class PlainClient:
    """A downstream team's reader: it has the folder ``schemas`` and fastavro, and has never heard of this package."""

    def __init__(self) -> None:
        self._by_fingerprint = {}
        for file in SCHEMAS.glob("*.avsc"):
            schema = json.loads(file.read_text(encoding="utf-8"))
            key = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
            self._by_fingerprint[key] = fastavro.parse_schema(schema)

    def read(self, value: bytes | None) -> Any:
        assert value is not None
        assert value[:2] == b"\xc3\x01"
        body = io.BytesIO(value[10:])
        record = fastavro.schemaless_reader(body, self._by_fingerprint[value[2:10]], None)
        assert not body.read()
        return record


def test_two_processes_serve_plain_clients(tmp_path: Path, kafka: KafkaUnderTest, make_topic: MakeTopic) -> None:
    """Flights in; predictions, dead letters and drift that a plain Avro client reads; one metrics port; a clean end."""
    topic, port = make_topic(partitions=3), free(1)[0]
    create_topics(kafka.bootstrap, {f"{topic}.predictions": 3, f"{topic}.dlq": 3})
    create_topics(kafka.bootstrap, {f"{topic}.drift-{name}": 1 for name in ("sketches", "reports", "alerts", "state")})
    pack_flights(tmp_path / "bundle")
    settings = tmp_path / "worker.toml"
    settings.write_text(
        f"""
        kafka = {{ bootstrap = "{kafka.bootstrap}", group = "{topic}" }}
        topics = {{ input = "{topic}" }}
        event = {{ schema = "{(SCHEMAS / "flight.avsc").resolve()}", id = "id", time = "scheduled_at" }}
        model = {{ bundle = "bundle" }}
        drift = {{ monitor = true }}
        telemetry = {{ port = {port} }}
        """,
        encoding="utf-8",
    )
    flights = load([3])
    replay(kafka.bootstrap, topic, islice(encoded(flights, AvroEncoder(SCHEMAS / "flight.avsc")), FLIGHTS))
    command = [sys.executable, "-m", "worker", "run", "--config", str(settings), "--processes", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as worker:
        try:
            wait_until(lambda: _total(port, "worker_records_consumed_total") == FLIGHTS, 60)
            wait_until(lambda: _is_ready(port), 60)  # one process may have answered all before the other has begun
            wait_until(lambda: _total(port, "drift_windows_closed_total") == DAYS, 30)
            assert _get(port, "/healthz") == "ok\n"
            metrics = {name: _total(port, name) for name in ("model_predictions_total", "worker_dead_letters_total")}
        finally:
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate(timeout=40)
    assert worker.returncode == 0, log

    client = PlainClient()
    predictions = [client.read(record.value) for record in read_all(kafka.bootstrap, f"{topic}.predictions")]
    letters = read_all(kafka.bootstrap, f"{topic}.dlq")
    refused = [client.read(record.value) for record in letters]
    departed = flights.departed[:FLIGHTS]
    assert sorted(p["event_id"] for p in predictions) == sorted(
        i for i, d in zip(flights.ids, departed, strict=False) if d
    )
    assert sorted(r["id"] for r in refused) == sorted(i for i, d in zip(flights.ids, departed, strict=False) if not d)
    assert {dict(letter.headers)["reason"] for letter in letters} == {b"null_not_allowed"}
    assert all(0 <= p["score"] <= 1 and p["label"] in ("0", "1") for p in predictions)
    assert metrics == {"model_predictions_total": len(predictions), "worker_dead_letters_total": len(letters)}
    reports, alerts = (
        [client.read(record.value) for record in read_all(kafka.bootstrap, f"{topic}.drift-{name}")]
        for name in ("reports", "alerts")
    )
    assert [(r["model_name"], r["window_start"].isoformat()) for r in reports] == [
        ("flights-boosting", f"2013-03-0{day}T00:00:00+00:00") for day in range(1, DAYS + 1)
    ]
    assert sum(r["records"] for r in reports) <= len(predictions)
    assert {alert["window_start"] for alert in alerts} <= {report["window_start"] for report in reports}


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def _is_ready(port: int) -> bool:
    try:
        return _get(port, "/readyz") == "ok\n"
    except HTTPError:
        return False


def _total(port: int, name: str) -> float:
    """The sum over all series of a metric; -1 while nothing answers."""
    try:
        lines = _get(port, "/metrics").splitlines()
    except OSError:
        return -1
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
