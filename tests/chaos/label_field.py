"""A field for labels: events, and what was true of them, late, doubled and out of order; workers, joiners and monitors on it."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from sklearn.linear_model import LogisticRegression

from tests.chaos.fleet import ChildProcess, Fleet
from tests.support.kafka import make_topic, produce_all, read_all
from tests.support.quality import Said, True_, definition
from worker.avro.any_record import AnySchema, KnownSchemas
from worker.avro.schema import parse_schema
from worker.broker.topics import create_topics
from worker.columns import Columns, NumberColumn
from worker.models import TrainingRows, pack
from worker.quality.changes import Changes
from worker.quality.join import JoinRules
from worker.quality.scoring import Predicted, Scoring
from worker.quality.tally import Tally, figures
from worker.records import BoolArray, FloatArray, IntArray, Record
from worker.shipped import output_schema

WINDOW_SECONDS, LATENESS_SECONDS, SKEW_SECONDS, HORIZON_SECONDS = 60, 5, 60, 180
PARTITIONS = 3
BEGIN_MS = 1_700_000_040_000  # a full minute
RULES = JoinRules(*(1_000 * s for s in (WINDOW_SECONDS, LATENESS_SECONDS, SKEW_SECONDS, HORIZON_SECONDS)))
SCORING = Scoring("binary", ("0", "1"), "1")
MONITOR, JOINER = ("worker", "monitor"), ("worker", "join")
SCHEMA = {
    "type": "record",
    "name": "Case",
    "namespace": "labels",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "x", "type": "double"},
    ],
}
KNOWN = KnownSchemas(map(output_schema, ("prediction", "drift_report", "drift_alert", "quality_report")))


@dataclass(frozen=True, slots=True)
class Cases:
    """n events in order of production, and for each whether it came true."""

    partition: IntArray
    times_ms: IntArray
    x: FloatArray
    true: BoolArray

    @staticmethod
    def of(count: int, seed: int, *, minutes: int, flipped_from: int | None = None) -> Cases:
        """``flipped_from``: from that minute on what came true is what did not, while x stays as it is."""
        random = np.random.default_rng(seed)
        times = BEGIN_MS + np.sort(random.integers(0, minutes * WINDOW_SECONDS * 1_000, count))
        times -= random.integers(0, 20_000, count)  # out of order: some are late
        x = random.normal(0, 2, count)
        true = random.random(count) < 1 / (1 + np.exp(-2 * x))
        if flipped_from is not None:
            true ^= times >= BEGIN_MS + flipped_from * WINDOW_SECONDS * 1_000
        return Cases(random.integers(0, PARTITIONS, count), times, x, true)

    def __len__(self) -> int:
        return len(self.x)

    def records(self) -> list[Record]:
        parsed, prefix = fastavro.parse_schema(SCHEMA), b"\xc3\x01" + parse_schema(json.dumps(SCHEMA)).fingerprint
        found = []
        for i, (p, t, x) in enumerate(
            zip(self.partition.tolist(), self.times_ms.tolist(), self.x.tolist(), strict=True)
        ):
            body = io.BytesIO()
            fastavro.schemaless_writer(body, parsed, {"id": str(i), "at": t, "x": x})
            found.append(Record("", p, 0, 0, str(i).encode(), prefix + body.getvalue()))
        return found

    def labels(self, seed: int) -> list[Record]:
        """Nineteen of twenty have one, up to the horizon late and out of order; a tenth is doubled, and some contradict.

        A few come too late, and a few are of events that there never were.
        """
        random = np.random.default_rng(seed)
        schema = AnySchema.of(output_schema("label"))
        rows: list[tuple[int, int, str, int]] = []
        for i, (p, t, true) in enumerate(
            zip(self.partition.tolist(), self.times_ms.tolist(), self.true.tolist(), strict=True)
        ):
            times = 1 + int(random.random() < 0.1) if random.random() < 0.95 else 0
            for number in range(times):
                delay = int(random.integers(0, 1_000 * HORIZON_SECONDS + 1))
                if random.random() < 0.02:
                    delay += 1_000 * HORIZON_SECONDS
                actual = int(true) if number == 0 or random.random() < 0.7 else int(not true)
                rows.append((p, t + delay, str(i), actual))
            if random.random() < 0.01:
                rows.append((p, t, f"unknown-{i}", 1))
        rows.sort(key=lambda row: row[1] + int(random.integers(0, 10_000)))
        return [
            Record(
                "",
                p,
                0,
                0,
                event.encode(),
                schema.write({"event_id": event, "label": str(a), "value": None, "time": t}),
            )
            for p, t, event, a in rows
        ]


def pack_cases(to: Path) -> None:
    """A model of x, with the profile of forty minutes of training and the quality on five thousand held-out rows."""
    known, held_out = Cases.of(20_000, 1, minutes=40), Cases.of(5_000, 7, minutes=40)
    rows = known.x[:, None]
    pack(
        LogisticRegression().fit(rows, known.true.astype(int)),
        to=to,
        name="cases",
        version="1.0.0",
        X_test=held_out.x[:, None],
        y_test=held_out.true.astype(int),
        features=["x"],
        schema=parse_schema(json.dumps(SCHEMA)),
        profile=TrainingRows(Columns({"x": NumberColumn(known.x)}, len(known)), known.times_ms, WINDOW_SECONDS),
    )


@dataclass(slots=True)
class LabelField:
    """Topics and settings of one run, and its processes."""

    bootstrap: str
    topic: str
    fleet: Fleet

    def worker(self) -> ChildProcess:
        return self.fleet.start()

    def joiner(self) -> ChildProcess:
        return self.fleet.start(module=JOINER)

    def monitor(self) -> ChildProcess:
        return self.fleet.start(module=MONITOR)

    def values(self, name: str) -> list[bytes]:
        return [record.value or b"" for record in read_all(self.bootstrap, f"{self.topic}.{name}")]

    def await_quality(self, count: int, seconds: float = 120.0) -> None:
        """Until so many windows of realised quality are reported."""
        deadline = time.monotonic() + seconds
        while (found := len(self.values("quality-reports"))) < count:
            words = "\n".join(f"{one.name}: {one.last_words()}" for one in self.fleet.workers)
            assert time.monotonic() < deadline, f"{found} of {count} windows\n{words}"
            time.sleep(0.1)

    def expected(self) -> list[dict[str, Any]]:
        """What the reports have to say of realised quality, recomputed from the two topics by the definition alone."""
        said: defaultdict[int, list[Said]] = defaultdict(list)
        for record in read_all(self.bootstrap, f"{self.topic}.predictions"):
            one = KNOWN.read(record.value or b"")
            predicted = Predicted(int(one["label"]), one["score"])
            said[record.partition].append(
                Said(record.offset, one["event_id"], one["event_time"], predicted, record.timestamp_ms)
            )
        true: defaultdict[int, list[True_]] = defaultdict(list)
        label = KnownSchemas([output_schema("label")])
        for record in read_all(self.bootstrap, f"{self.topic}.labels"):
            one = label.read(record.value or b"")
            true[record.partition].append(
                True_(record.offset, one["event_id"], one["time"], int(one["label"]), record.timestamp_ms)
            )
        return recomputed(said, true)


def recomputed(said: Mapping[int, list[Said]], true: Mapping[int, list[True_]]) -> list[dict[str, Any]]:
    """The windows that are over when everything is joined, in order, of all partitions together."""
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    unmatched: defaultdict[int, int] = defaultdict(int)
    for partition, ours in said.items():
        found = definition(ours, true[partition], RULES)
        changes = Changes(found.counts, unmatched=found.unmatched)
        for cell, pairs in found.pairs.items():
            changes.pairs[cell] = list(pairs.elements())
        for (_, _, start_ms), tally in changes.tallies(SCORING).items():
            tallies[start_ms].add(tally)
        for start_ms, count in found.unmatched.items():
            unmatched[start_ms] += count
    times = [one.time_ms for ours in said.values() for one in ours]
    clock = max(*times, *(one.time_ms for ours in true.values() for one in ours))
    last = clock - RULES.horizon_ms - RULES.grace_ms
    over = sorted(start for start in tallies if start + RULES.window_ms <= last)
    return [
        {
            "window_start": start,
            "predictions": tallies[start]["predictions"],
            "labelled": tallies[start]["labelled"],
            "doubled": tallies[start]["doubled"],
            "contradicting": tallies[start]["contradicting"],
            "unmatched": unmatched[start],
            "late": 0,
            "wrong": tallies[start]["wrong"],
            "figures": figures(tallies[start], SCORING),
        }
        for start in over
    ]


@contextlib.contextmanager
def label_field(bootstrap: str, folder: Path, bundle: Path, cases: Cases) -> Iterator[LabelField]:
    """Everything is produced before anybody starts, so that no partition is idle before it is through."""
    topic = make_topic(bootstrap, partitions=PARTITIONS, name_prefix="labels")
    create_topics(bootstrap, {f"{topic}.{name}": PARTITIONS for name in ("predictions", "dlq", "labels")})
    single = ("drift-sketches", "drift-reports", "drift-alerts", "drift-state", "quality-reports")
    create_topics(bootstrap, {f"{topic}.{name}": 1 for name in single})
    (folder / "case.avsc").write_text(json.dumps(SCHEMA), "utf-8")
    config = folder / "worker.toml"
    config.write_text(
        f"""
        kafka = {{ bootstrap = "{bootstrap}", group = "{topic}" }}
        topics = {{ input = "{topic}" }}
        event = {{ schema = "case.avsc", id = "id", time = "at" }}
        model = {{ bundle = "{bundle}" }}
        delivery = {{ max_batch_records = 200 }}
        drift = {{ lateness_seconds = {LATENESS_SECONDS}, skew_seconds = {SKEW_SECONDS}, min_records = 50 }}
        labels = {{ horizon_seconds = {HORIZON_SECONDS} }}
        telemetry = {{ port = 0 }}
        """,
        "utf-8",
    )
    produce_all(bootstrap, topic, cases.records())
    produce_all(bootstrap, f"{topic}.labels", cases.labels(3))
    with Fleet(config) as fleet:
        yield LabelField(bootstrap, topic, fleet)
