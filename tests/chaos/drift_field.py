"""A field for drift: one stream, workers and monitors on it as processes, and what they published in the end."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from tests.chaos.fleet import ChildProcess, Fleet
from tests.chaos.reading import CommittedOffsets
from tests.support.kafka import make_topic, produce_all, read_all
from worker.avro.any_record import KnownSchemas
from worker.avro.schema import parse_schema
from worker.broker.topics import create_topics
from worker.columns import Columns, NumberColumn
from worker.models import TrainingRows, pack
from worker.records import BoolArray, FloatArray, IntArray, Record
from worker.settings import Drift
from worker.shipped import output_schema

WINDOW_SECONDS, LATENESS_SECONDS = 60, 5
REFUSED = 1_000.0
PARTITIONS = 3
SKEW_MS = round(Drift().skew_seconds * 1_000)
IN_2100_MS = 4_102_444_800_000
MONITOR = ("worker", "monitor")
BEGIN_MS = 1_700_000_040_000  # a full minute
SCHEMA = {
    "type": "record",
    "name": "Reading",
    "namespace": "drift",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "x", "type": "double", "maximum": REFUSED},
        {"name": "y", "type": ["null", "double"], "nullPolicy": "nan"},
    ],
}
KNOWN = KnownSchemas([output_schema("drift_report"), output_schema("drift_alert")])


@dataclass(frozen=True, slots=True)
class Readings:
    """n events in order of production; ``x`` of each partition has a mean of its own, so that each alone is another.

    ``stamps_ms``: Kafka's timestamps.
    """

    partition: IntArray
    times_ms: IntArray
    stamps_ms: IntArray
    x: FloatArray
    y: FloatArray

    @staticmethod
    def of(
        count: int,
        seed: int,
        *,
        minutes: int,
        shift_from: int | None = None,
        partitions: int = PARTITIONS,
        from_2100: int = 0,
    ) -> Readings:
        """``shift_from``: x is two standard deviations higher from that minute on. ``from_2100``: so many are dated so."""
        random = np.random.default_rng(seed)
        partition = random.integers(0, partitions, count)
        times = BEGIN_MS + np.sort(random.integers(0, minutes * WINDOW_SECONDS * 1_000, count))
        times -= random.integers(0, 20_000, count)  # out of order: some are late
        x = random.normal(partition.astype(np.float64) * 3, 1.0)
        if shift_from is not None:
            x[times >= BEGIN_MS + shift_from * WINDOW_SECONDS * 1_000] += 5
        x[random.random(count) < 0.01] = 2 * REFUSED
        y = np.where(random.random(count) < 0.2, np.nan, random.random(count))
        stamps = times.copy()
        times[random.choice(count, from_2100, replace=False)] = IN_2100_MS
        return Readings(partition, times, stamps, x, y)

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: BoolArray) -> Readings:
        return Readings(self.partition[rows], self.times_ms[rows], self.stamps_ms[rows], self.x[rows], self.y[rows])

    def records(self) -> list[Record]:
        schema = parse_schema(json.dumps(SCHEMA))
        parsed, prefix = fastavro.parse_schema(SCHEMA), b"\xc3\x01" + schema.fingerprint
        columns = (self.partition, self.times_ms, self.stamps_ms, self.x, self.y)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            Record("", p, 0, stamp, str(i).encode(), prefix + _body(parsed, i, t, x, None if y != y else y))  # noqa: PLR0124 - NaN
            for i, (p, t, stamp, x, y) in enumerate(rows)
        ]


def _body(parsed: Any, number: int, time_ms: int, x: float, y: float | None) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, {"id": str(number), "at": time_ms, "x": x, "y": y})
    return out.getvalue()


def pack_readings(to: Path, partitions: int = PARTITIONS) -> None:
    """A model of x and y, with the profile of forty minutes of training."""
    known = Readings.of(20_000, 1, minutes=40, partitions=partitions)
    known = known.take(known.x < REFUSED)
    rows = np.column_stack([known.x, known.y])
    target = known.x * 2
    null = np.isnan(known.y)
    columns = Columns({"x": NumberColumn(known.x), "y": NumberColumn(known.y, null)}, len(known))
    pack(
        make_pipeline(SimpleImputer(), LinearRegression()).fit(rows, target),
        to=to,
        name="readings",
        version="1.0.0",
        X_test=rows[:500],
        y_test=target[:500],
        features=["x", "y"],
        schema=parse_schema(json.dumps(SCHEMA)),
        task="regression",
        profile=TrainingRows(columns, known.times_ms, WINDOW_SECONDS),
    )


def expected_windows(readings: Readings) -> dict[int, tuple[int, int]]:
    """By start of the closed windows, records and late ones: counted anew, record by record, by the rules alone."""
    window_ms, lateness_ms = WINDOW_SECONDS * 1_000, LATENESS_SECONDS * 1_000
    watermarks: dict[int, int] = {}
    records: Counter[int] = Counter()
    late: Counter[int] = Counter()
    good = readings.take(readings.x < REFUSED)
    columns = (good.partition, good.times_ms, good.stamps_ms)
    for partition, time_ms, stamp_ms in zip(*(column.tolist() for column in columns), strict=True):
        watermark = watermarks.get(partition, stamp_ms)  # before its first, of the record's own Kafka timestamp
        start = time_ms // window_ms * window_ms
        if start > stamp_ms + SKEW_MS or start + window_ms + lateness_ms <= watermark:
            late[watermark // window_ms * window_ms] += 1
        else:
            records[start] += 1
        if time_ms <= stamp_ms + SKEW_MS:
            watermarks[partition] = max(watermark, time_ms)
    clock = max(watermarks.values())
    closed = sorted(start for start in records | late if start + window_ms + lateness_ms <= clock)
    return {start: (records[start], late[start]) for start in closed}


@dataclass(slots=True)
class DriftField:
    """Topics and settings of one run, and its processes."""

    bootstrap: str
    topic: str
    fleet: Fleet
    offsets: CommittedOffsets

    def monitor(self) -> ChildProcess:
        return self.fleet.start(module=MONITOR)

    def await_committed(self, count: int, seconds: float = 300.0) -> None:
        """Until the group has committed so many of the input's records."""
        deadline = time.monotonic() + seconds
        while self.offsets.total() < count:
            assert time.monotonic() < deadline, f"{self.offsets.total()} of {count} records"
            time.sleep(0.1)

    def await_reports(self, count: int, seconds: float = 90.0) -> None:
        """Until so many windows are reported."""
        deadline = time.monotonic() + seconds
        while len(self.published()[0]) < count:
            words = "\n".join(f"{one.name}: {one.last_words()}" for one in self.fleet.workers)
            assert time.monotonic() < deadline, f"{len(self.published()[0])} of {count} windows\n{words}"
            time.sleep(0.1)

    def published(self) -> tuple[list[bytes], list[bytes]]:
        """Values of the reports and of the alerts, in order."""
        reports, alerts = (
            [record.value or b"" for record in read_all(self.bootstrap, f"{self.topic}.{name}")]
            for name in ("drift-reports", "drift-alerts")
        )
        return reports, alerts


@contextlib.contextmanager
def drift_field(
    bootstrap: str,
    folder: Path,
    bundle: Path,
    readings: Readings,
    *,
    partitions: int = PARTITIONS,
    batch_records: int = 200,
) -> Iterator[DriftField]:
    """Everything is produced before anybody starts, so that no partition is idle before it is through."""
    topic = make_topic(bootstrap, partitions=partitions, name_prefix="drift")
    create_topics(bootstrap, {f"{topic}.predictions": partitions, f"{topic}.dlq": partitions})
    single = ("drift-sketches", "drift-reports", "drift-alerts", "drift-state")
    create_topics(bootstrap, {f"{topic}.{name}": 1 for name in single})
    (folder / "reading.avsc").write_text(json.dumps(SCHEMA), "utf-8")
    config = folder / "worker.toml"
    config.write_text(
        f"""
        kafka = {{ bootstrap = "{bootstrap}", group = "{topic}" }}
        topics = {{ input = "{topic}" }}
        event = {{ schema = "reading.avsc", id = "id", time = "at" }}
        model = {{ bundle = "{bundle}" }}
        delivery = {{ max_batch_records = {batch_records} }}
        drift = {{ lateness_seconds = {LATENESS_SECONDS}, min_records = 50 }}
        telemetry = {{ port = 0 }}
        """,
        "utf-8",
    )
    produce_all(bootstrap, topic, readings.records())
    with Fleet(config) as fleet, CommittedOffsets(bootstrap, topic, topic, partitions) as offsets:
        yield DriftField(bootstrap, topic, fleet, offsets)
