"""``inspect`` on a real Kafka: every record with the verdict that the worker would have, and no trace left behind."""

import io
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from tests.support.kafka import produce_all
from tests.support.waiting import wait_until
from worker.avro.schema import parse_schema
from worker.bootstrap import prepare
from worker.broker.ports import free
from worker.cli import app
from worker.errors import ConfigurationError, TransportError
from worker.models import pack
from worker.records import OutgoingBatch, Record, RecordBatch
from worker.settings import load_settings

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string", "maxLength": 200},
    {"name": "amount", "type": "double", "minimum": 0},
    {
        "name": "card",
        "type": {
            "type": "record",
            "name": "Card",
            "fields": [{"name": "limit", "type": ["null", "double"], "nullPolicy": "nan"}],
        },
    },
    {"name": "risk", "type": "double"},
]
SCHEMA = {"type": "record", "name": "Payment", "namespace": "bank", "fields": FIELDS}
OLDER = {**SCHEMA, "fields": [*FIELDS, {"name": "shop", "type": "string"}]}
START_MS = 1_700_000_000_000


def body(id_: str, amount: float = 1.0, risk: float = 1.0, limit: float | None = None, **more: Any) -> bytes:
    out = io.BytesIO()
    schema: Any = OLDER if more else SCHEMA
    event = {"id": id_, "amount": amount, "card": {"limit": limit}, "risk": risk, **more}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), event)
    return out.getvalue()


def framed(content: bytes) -> bytes:
    return b"\xc3\x01" + parse_schema(json.dumps(SCHEMA)).fingerprint + content


# By partition, in order of offsets; timestamps interleave the two.
VALUES: tuple[tuple[bytes | None, ...], ...] = (
    (
        framed(body("good-secret", limit=9.5)),
        framed(body("low-secret", -5.0)),
        b"hello, world",
        b"\x00\x00\x00\x00\x63" + body("x"),
    ),
    (
        b"\x00\x00\x00\x00\x07" + body("old", shop="s"),
        None,
        framed(body("cut"))[:-3],
        framed(body("poison", risk=-1.0)),
    ),
)
VERDICTS = {
    (0, 0): "ok",
    (0, 1): "validate/below_minimum",
    (0, 2): "framing/unknown_framing",
    (0, 3): "framing/unknown_schema",
    (1, 0): "ok",
    (1, 1): "tombstone",
    (1, 2): "decode/malformed",
    (1, 3): "ok",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's settings, and the records in its input topic."""

    config: Path
    topic: str
    bootstrap: str

    def inspect(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["inspect", "-c", str(self.config), *arguments])

    def lines(self, *arguments: str) -> list[dict[str, str]]:
        """Rows of the tab-separated output by column."""
        result = self.inspect(*arguments)
        assert result.exit_code == 0, result.output
        rows = [line.split("\t") for line in result.stdout.splitlines()]
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.inspect("--json", *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that raises on a negative risk."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a second; only the tests on a broker need it
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    features = np.random.default_rng(0).random((200, 2)) * (100.0, 4.0)
    target = np.where(features[:, 1] > 2.0, "fraud", "fine")
    to = tmp_path_factory.mktemp("bundles") / "payments"
    pack(
        make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression()).fit(features, target),
        to=to,
        name="fraud",
        version="1.0.0",
        X_test=features,
        y_test=target,
        features=["amount", "risk"],
        schema=parse_schema(json.dumps(SCHEMA)),
        positive_class="fraud",
    )
    return to


@pytest.fixture(scope="module")
def place(
    kafka: KafkaUnderTest, make_topic: MakeTopic, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """Good and bad records in two partitions; the tests of this module only read."""
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "payment.avsc").write_text(json.dumps(SCHEMA))
    (folder / "older.avsc").write_text(json.dumps(OLDER))
    (folder / "ids.toml").write_text('[ids]\n7 = "older.avsc"\n')
    topic = make_topic(partitions=2, name_prefix="payments")
    outputs = [make_topic(partitions=2, name_prefix=name) for name in ("predictions", "letters")]
    config = folder / "worker.toml"
    config.write_text(
        f'[kafka]\nbootstrap = "{kafka.bootstrap}"\ngroup = "group-{topic}"\n'
        f'[topics]\ninput = "{topic}"\npredictions = "{outputs[0]}"\ndead_letters = "{outputs[1]}"\n'
        f'[event]\nschema = "payment.avsc"\nid = "id"\n[model]\nbundle = "{bundle}"\n'
    )
    records = [
        Record("", p, -1, START_MS + 2_000 * i + 1_000 * p, b"key-%d" % i, value)
        for p, values in enumerate(VALUES)
        for i, value in enumerate(values)
    ]
    produce_all(kafka.bootstrap, topic, records)
    return Place(config, topic, kafka.bootstrap)


@pytest.fixture(scope="module")
def processed(place: Place) -> tuple[str, str]:
    """The output topics, with what the worker makes of the input; one transaction a record, each with its mark."""
    settings = load_settings(place.config, {})
    records = [Record(place.topic, p, i, START_MS, b"k", v) for p, vs in enumerate(VALUES) for i, v in enumerate(vs)]
    producer = Producer(
        {"bootstrap.servers": place.bootstrap, "transactional.id": f"made-{place.topic}", "log_level": 0}
    )
    producer.init_transactions(30)
    for outgoing in prepare(settings).pipeline.process(RecordBatch.of(records)).outgoing:
        for row in range(len(outgoing)):
            producer.begin_transaction()
            _produce(producer, outgoing, row)
            producer.commit_transaction(30)
    return settings.topics.predictions, settings.topics.dead_letters


def _produce(producer: Producer, outgoing: OutgoingBatch, row: int) -> None:
    headers: list[tuple[str, str | bytes | None]] = list(outgoing.headers.get(row, ()))
    partition = int(outgoing.partition[row])
    producer.produce(outgoing.topic, outgoing.values[row], outgoing.keys[row], partition, headers=headers)


def test_every_record_has_its_verdict(place: Place) -> None:
    """Good and bad records are shown in the order of time, with place, framing, schema and verdict; no content."""
    lines = place.lines()
    assert {(int(row["partition"]), int(row["offset"])): row["verdict"] for row in lines} == VERDICTS
    assert [row["when"] for row in lines] == sorted(row["when"] for row in lines)
    first, old, low = lines[0], lines[1], lines[2]
    assert re.fullmatch("single-object [0-9a-f]{16}", first["framing"])
    assert (first["schema"], old["schema"]) == ("bank.Payment", "bank.Payment (another version)")
    assert (old["framing"], low["field"], low["detail"]) == ("confluent 7", "amount", "amount: is below minimum 0")
    output = place.inspect().output + place.inspect("--json").output
    assert "secret" not in output
    assert "key-" not in output
    assert "8 records of" in place.inspect().stderr
    assert "1 framing/unknown_schema" in place.inspect().stderr


def test_values_are_shown_when_asked_for(place: Place) -> None:
    """With --values come keys and decoded fields, nested ones by dotted name, also of a record that breaks a rule."""
    shown = {(row["partition"], row["offset"]): row for row in place.lines("--values")}
    assert shown["0", "0"]["fields"] == "id='good-secret' amount=1.0 card.limit=9.5 risk=1.0"
    assert "card.limit=null" in shown["0", "1"]["fields"]
    assert shown["0", "2"]["fields"] == f"bytes {b'hello, world'.hex(' ')}"
    assert shown["0", "0"]["key"] == "key-0"
    by_place = {(one["partition"], one["offset"]): one for one in place.objects("--values")}
    assert by_place[0, 1]["values"] == {"id": "low-secret", "amount": -5.0, "card.limit": None, "risk": 1.0}


def test_the_model_is_asked_when_wanted(place: Place) -> None:
    """With --predict, label and score are the worker's own, and what the model raises on is refused."""
    by_place = {(one["partition"], one["offset"]): one for one in place.objects("--predict")}
    assert by_place[1, 3]["reason"] == "model_raised"
    assert by_place[0, 1]["model"] is None
    said = by_place[0, 0]["model"]
    assert said["label"] in {"fine", "fraud"}
    settings = load_settings(place.config, {})
    batch = RecordBatch.of([Record(place.topic, 0, 0, START_MS, None, VALUES[0][0])])
    pipeline = prepare(settings).pipeline
    scores = pipeline.predictor.predict(pipeline.decoder.decode(batch).columns)
    assert said["score"] == scores.score[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--last", "3"), {(1, 2), (0, 3), (1, 3)}),
        (("--partition", "1", "--last", "1"), {(1, 3)}),
        (("--partition", "0", "--offset", "2"), {(0, 2), (0, 3)}),
        (("--partition", "0", "--offset", "1", "--limit", "2"), {(0, 1), (0, 2)}),
        (("--since", "2023-11-14T22:13:25"), {(0, 3), (1, 2), (1, 3)}),
        (("--since", "1s"), set()),
        (("--only", "refused"), {p for p, v in VERDICTS.items() if "/" in v}),
        (("--only", "good"), {(0, 0), (1, 0), (1, 3)}),
        (("--reason", "malformed"), {(1, 2)}),
    ],
)
def test_which_records(place: Place, arguments: tuple[str, ...], expected: set[tuple[int, int]]) -> None:
    """Start, filters and limit choose exactly the records that they name."""
    assert {(one["partition"], one["offset"]) for one in place.objects(*arguments)} == expected


def test_predictions_are_decoded(place: Place, processed: tuple[str, str]) -> None:
    """A topic of predictions is read by the shipped schema."""
    shown = place.objects("--topic", processed[0], "--values", "--last", "2")
    assert [one["values"]["event_id"] for one in shown] == ["good-secret", "old"]
    assert {one["verdict"] for one in shown} == {"ok"}
    assert {(one["schema"]["name"], one["schema"]["role"]) for one in shown} == {
        ("predictionworker.Prediction", "shipped")
    }
    assert len(shown[0]["values"]["probabilities"]) == 2


def test_marks_of_transactions_are_no_records(place: Place, processed: tuple[str, str]) -> None:
    """The last N are N records, however many of the last offsets hold none."""
    shown = place.objects("--topic", processed[1], "--partition", "0", "--last", "3")
    assert [one["offset"] for one in shown] == [0, 2, 4]


def test_dead_letters_are_judged_by_their_own_bytes(place: Place, processed: tuple[str, str]) -> None:
    """A dead letter has the reason of its headers, and the verdict that its bytes have now."""
    shown = place.objects("--topic", processed[1], "--last", "10")
    assert sorted((one["refused"]["reason"], one["reason"] or one["verdict"]) for one in shown) == [
        ("below_minimum", "below_minimum"),
        ("malformed", "malformed"),
        ("model_raised", "ok"),
        ("unknown_framing", "unknown_framing"),
        ("unknown_schema", "unknown_schema"),
    ]
    assert {one["refused"]["origin"] for one in shown} >= {f"{place.topic}[0]@1", f"{place.topic}[1]@3"}


def test_mistakes_have_one_clear_line(place: Place) -> None:
    """What is not there is named together with what is."""
    for arguments, said in (
        (("--topic", "nowhere"), "nowhere does not exist"),
        (("--partition", "2"), "has no partition 2"),
        (("--partition", "0", "--offset", "4"), "holds offsets 0 to 3"),
        (("--offset", "1"), "--offset needs --partition"),
        (("--offset", "1", "--last", "1"), "only one can be given"),
        (("--reason", "tired"), "below_minimum"),
        (("--since", "soon"), "is no time"),
    ):
        error = place.inspect(*arguments).exception
        assert isinstance(error, ConfigurationError)
        assert said in error.message


def test_no_broker_is_said(place: Place, tmp_path: Path) -> None:
    """Where no broker answers, the error names the address and the way out."""
    (port,) = free(1)
    text = place.config.read_text().replace(place.bootstrap, f"127.0.0.1:{port}")
    nowhere = place.config.with_name("nowhere.toml")
    nowhere.write_text(text)
    error = CliRunner().invoke(app, ["inspect", "-c", str(nowhere)]).exception
    assert isinstance(error, TransportError)
    assert f"127.0.0.1:{port}" in error.message
    assert error.hint


def test_nothing_is_left_behind(place: Place) -> None:
    """Inspecting makes no consumer group, neither the worker's nor one of its own."""
    place.inspect()
    listed = AdminClient({"bootstrap.servers": place.bootstrap, "log_level": 0}).list_consumer_groups().result(30)
    assert [group.group_id for group in listed.valid if place.topic in group.group_id] == []


def test_following_goes_on_until_ctrl_c(place: Place, make_topic: MakeTopic, tmp_path: Path) -> None:
    """New records come as they are written; Ctrl-C ends it with the summary and exit code 0."""
    topic = make_topic(partitions=2, name_prefix="followed")
    produce_all(place.bootstrap, topic, [Record("", 0, -1, 0, None, framed(body("before")))])
    seen = tmp_path / "seen"
    program = [sys.executable, "-m", "worker", "inspect", "-c", str(place.config), "--topic", topic, "-f", "--json"]
    with seen.open("w") as out, subprocess.Popen(program, stdout=out, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: seen.read_text().count("\n") == 1, 60)
            produce_all(place.bootstrap, topic, [Record("", p, -1, 0, None, b"hello, world") for p in (0, 1)])
            wait_until(lambda: seen.read_text().count("\n") == 3, 60)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert [json.loads(line)["verdict"] for line in seen.read_text().splitlines()] == ["ok", "refused", "refused"]
    assert f"3 records of {topic}: 1 ok, 2 refused" in errors


def test_following_stops_at_the_limit(place: Place) -> None:
    """A limit ends --follow by itself."""
    assert len(place.objects("--follow", "--limit", "2")) == 2
