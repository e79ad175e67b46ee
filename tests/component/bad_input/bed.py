"""Bad records among good ones, through the whole worker, and what became of each.

A batch of ``FEW`` is read record by record, one of ``MANY`` by columns: whatever number of rows the switch between the
two was measured to be, it is at most ``MANY``.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from worker.avro.decode import Decoder
from worker.avro.framing import SINGLE_OBJECT_MARKER, SchemaLookup, frame_detected
from worker.ports import Predictor
from worker.records import Headers, Record, TopicPartition
from worker.settings import DeadLetters, Delivery, Event, Kafka, Model, Settings, Topics
from worker.testing import DeadLetterOf, PredictionOf, Result, StubPredictor, WorkerHarness

Size = Literal["few", "many"]
SIZES: tuple[Size, ...] = ("few", "many")
MANY = 256
_TOPIC = TopicPartition("events", 0)
_BAD_A_BATCH = {"few": 3, "many": 60}
MAX_BYTES = 10_000_000
Given = bytes | Record | None
Schema = Mapping[str, Any]
Outcome = PredictionOf | DeadLetterOf | None


@dataclass(frozen=True, slots=True)
class Good:
    """A neighbour's value, and the sum of its numbers, from which its score follows."""

    value: Given
    total: float


def record_of(*fields: tuple[str, Any] | Schema, name: str = "Event", **more: Any) -> dict[str, Any]:
    """A record's schema; a field is a name and a type, or the whole of it."""
    whole = [f if isinstance(f, Mapping) else {"name": f[0], "type": f[1]} for f in fields]
    return {"type": "record", "name": name, "namespace": "shop", "fields": whole, **more}


def varint(number: int, padding: int = 0) -> bytes:
    """Avro's zigzag, of a number of any size; ``padding`` adds bytes that say nothing."""
    rest = number << 1 if number >= 0 else ((-number) << 1) - 1
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return (
        bytes(out) + b"".join([bytes([rest | 0x80]), b"\x80" * (padding - 1), b"\0"])
        if padding
        else bytes([*out, rest])
    )


def text(content: bytes) -> bytes:
    return varint(len(content)) + content


def double(number: float) -> bytes:
    return struct.pack("<d", number)


def confluent(schema_id: int, body: bytes) -> bytes:
    return b"\x00" + struct.pack(">i", schema_id) + body


def event(value: bytes | None, *, key: bytes | None = None, headers: Headers = (), timestamp_ms: int = 0) -> Record:
    return Record(_TOPIC.topic, 0, 0, timestamp_ms, key, value, headers)


def score_of(total: float) -> float:
    """What the stub says of a record whose numbers sum to this."""
    return 0.5 + math.atan(total / 100) / math.pi


def verdict(outcome: Outcome) -> str:
    """STAGE/REASON of a dead letter, or what else became of the record."""
    if outcome is None:
        return "skipped"
    return f"{outcome.stage}/{outcome.reason}" if isinstance(outcome, DeadLetterOf) else "predicted"


def verdicts(outcomes: Sequence[Outcome]) -> list[str]:
    return [verdict(outcome) for outcome in outcomes]


class Bed:
    """One worker on a reader schema, and further writer schemas by Confluent id and by GUID."""

    def __init__(
        self,
        folder: Path,
        reader: Schema,
        *,
        writers: Mapping[int, Schema] | None = None,
        guids: Mapping[str, Schema] | None = None,
        predictor: Predictor | None = None,
        bundle: Path | None = None,
        **of_event: Any,
    ) -> None:
        lines = []
        for table, schemas in (("ids", writers or {}), ("guids", guids or {})):
            lines.append(f"[{table}]")
            for key, schema in schemas.items():
                (folder / f"{key}.avsc").write_text(json.dumps(schema))
                lines.append(f'{key} = "{key}.avsc"')
        (folder / "ids.toml").write_text("\n".join(lines))
        (folder / "reader.avsc").write_text(json.dumps(reader))
        values: dict[str, Any] = {"schema": folder / "reader.avsc", "max_bytes": MAX_BYTES, **of_event}
        settings = Settings(
            kafka=Kafka(bootstrap="in-memory", group="harness"),
            topics=Topics(input=_TOPIC.topic),
            event=Event(**values),
            model=Model(bundle=bundle or folder),
            delivery=Delivery(latency_target_ms=60_000, max_batch_bytes=500_000_000),
            dead_letters=DeadLetters(max_ratio=1, max_consecutive=0),
        )
        self.stub = bundle is None
        self.harness = WorkerHarness(settings, (predictor or StubPredictor()) if bundle is None else None)

    def framed(self, body: bytes) -> bytes:
        """A body in the single-object encoding of the reader schema."""
        return SINGLE_OBJECT_MARKER + self.harness.schema.fingerprint + body

    def use_lookup(self, lookup: SchemaLookup) -> None:
        """Ask ``lookup`` for schemas, as a registry would be asked, and no files."""
        pipeline = self.harness.worker.pipeline
        decoder = Decoder(self.harness.schema, lambda batch: frame_detected(batch, lookup, MAX_BYTES))
        self.harness.worker.pipeline = replace(pipeline, decoder=decoder)

    def among(self, good: Good, bad: Sequence[Given], size: Size) -> list[Outcome]:
        """What became of each bad record, with good ones between them in every batch.

        Asserted here: the good ones are predicted, with their scores; every record is accounted for once; dead letters
        hold their records unchanged; all offsets are committed; and the worker goes on.
        """
        found: list[Outcome] = []
        step = _BAD_A_BATCH[size]
        for begin in range(0, len(bad), step):
            found += self._batch(good, bad[begin : begin + step], size)
        (alive,) = self.run([good.value]).predictions
        assert alive.score == pytest.approx(score_of(good.total)) or not self.stub
        return found

    def run(self, records: Sequence[Given]) -> Result:
        """What became of records that are one batch; conservation and offsets are asserted here."""
        reports = self.harness.observer.reports
        before = len(reports)
        result = self.harness.run(records)
        (report,) = reports[before:]
        assert report.records == len(records)
        assert report.predictions + len(report.refusals) + report.tombstones == len(records)
        assert (report.predictions, len(report.refusals)) == (len(result.predictions), len(result.dead_letters))
        assert len(_by_row(result)) == len(result.predictions) + len(result.dead_letters)
        for letter in result.dead_letters:
            given = records[letter.row]
            assert (letter.key, letter.value) == (
                (given.key, given.value) if isinstance(given, Record) else (None, given)
            )
        kafka = self.harness.kafka
        assert kafka.committed("harness")[_TOPIC].offset == kafka.log(_TOPIC).end
        return result

    def _batch(self, good: Good, bad: Sequence[Given], size: Size) -> list[Outcome]:
        """Few: each between good ones. Many: twice each, so that bad ones stand at both ends of the batch as well."""
        records: list[Given] = []
        places: list[list[int]] = []
        if size == "few":
            for one in bad:
                records += [good.value, one]
            records.append(good.value)
            places = [[2 * i + 1] for i in range(len(bad))]
        else:
            front = [item for one in bad for item in (one, good.value)]
            back = [item for one in reversed(bad) for item in (good.value, one)]
            records = [*front, *[good.value] * (MANY - len(front) - len(back)), *back]
            places = [[2 * i, len(records) - 1 - 2 * i] for i in range(len(bad))]
        result = self.run(records)
        bad_rows = {row for rows in places for row in rows}
        outcomes = _by_row(result)
        for row in range(len(records)):
            outcome = outcomes.get(row)
            if row not in bad_rows:
                assert isinstance(outcome, PredictionOf), (row, outcome)
                assert outcome.score == pytest.approx(score_of(good.total), abs=1e-12) or not self.stub
        for rows in places:
            assert len({verdict(outcomes.get(row)) for row in rows}) == 1
        return [outcomes.get(rows[0]) for rows in places]


def _by_row(result: Result) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {prediction.row: prediction for prediction in result.predictions}
    return found | {letter.row: letter for letter in result.dead_letters}


def body_schema(declared: Any, **words: Any) -> dict[str, Any]:
    """A record of one field ``x`` to be damaged, and a number behind it that shows whether the damage spreads."""
    return record_of({"name": "x", "type": declared, **words}, ("n", "double"))
