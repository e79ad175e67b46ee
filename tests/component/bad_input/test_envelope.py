"""Families 34, 35, 38 and 39: keys, headers, replays and what else stands in a log."""

from __future__ import annotations

import pytest

from tests.component.bad_input.bed import Bed, Good, Size, body_schema, double, event, score_of, varint, verdicts
from tests.component.bad_input.conftest import MakeBed
from tests.component.worker_rig import Rig, loan, work
from tests.component.worker_rig import event as loan_event
from tests.contract.edges import InMemoryEdges
from worker.kafka.letters import letter_of, replayed_headers
from worker.pipeline.dead_letters import REPLAYS
from worker.records import Headers, Record
from worker.testing import DeadLetterOf, PredictionOf

READER = body_schema("int")
BODY = varint(7) + double(5)
TRACE: Headers = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=b"))


@pytest.mark.parametrize("key", [None, b"", b"\0\xff\x80", bytes(1_000_000)], ids=["null", "empty", "binary", "1 MB"])
def test_keys(bed: MakeBed, size: Size, key: bytes | None) -> None:
    """34: predictions and dead letters carry their record's key, whatever it is."""
    on = bed(READER)
    value = on.framed(BODY)
    predicted, refused = on.among(Good(value, 12), [event(value, key=key), event(b"junk!", key=key)], size)
    assert isinstance(predicted, PredictionOf)
    assert isinstance(refused, DeadLetterOf)
    assert (predicted.key, refused.key) == (key, key)


HEADERS: dict[str, Headers] = {
    "none": (),
    "10,000": tuple((f"h{i}", b"1") for i in range(10_000)),
    "1 MB": (("large", bytes(1_000_000)),),
    "1 MB name": (("n" * 1_000_000, b"1"),),
    "null value": (("h", None),),
    "doubled": (("h", b"1"), ("h", b"2"), ("h", None)),
    "empty name": (("", b"1"),),
    "no UTF-8 value": (("h", b"\xff\xfe"),),
    "control characters": (("a\r\nlevel=error\x1b[31m", b"1"),),
    "a name of escaped bytes": (("caf\\xe9", b"1"),),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(bed: MakeBed, size: Size, name: str) -> None:
    """35: no header keeps a record from being predicted; a dead letter keeps those that are within the caps."""
    on = bed(READER)
    value, headers = on.framed(BODY), HEADERS[name]
    found = on.among(Good(value, 12), [event(value, headers=headers), event(b"junk!", headers=headers)], size)
    assert verdicts(found) == ["predicted", "framing/unknown_framing"]
    letter = found[1]
    assert isinstance(letter, DeadLetterOf)
    own = letter.headers[: len(letter.headers) - 9]
    assert own == headers[: len(own)]
    assert len(own) == min(len(headers), 64) or "1 MB" in name
    assert sum(len(name) + len(value or b"") for name, value in letter.headers) < 20_000


def test_trace_headers(bed: MakeBed, size: Size) -> None:
    """35: predictions carry the trace context on, and no other header."""
    on = bed(READER)
    forged: Headers = (*TRACE, ("model.version", b"x"), ("stage", b"decode"), ("h", b"1"))
    on.among(Good(on.framed(BODY), 12), [event(on.framed(BODY), headers=forged)], size)
    assert _carried(on) == {TRACE}


@pytest.mark.parametrize(
    "forged",
    [
        (("tracestate", bytes(1_000_000)),),
        (("traceparent", None),),
        (("traceparent", b"1"),) * 10_000,
        (("traceparent", b"\xff\r\nlevel=error"),),
    ],
    ids=["1 MB", "null", "10,000", "binary"],
)
def test_forged_trace_headers(bed: MakeBed, size: Size, forged: Headers) -> None:
    """35: what is no trace context, or is far too large for one, is not carried on."""
    on = bed(READER)
    on.among(Good(on.framed(BODY), 12), [event(on.framed(BODY), headers=forged)], size)
    assert _carried(on) == set()


def _carried(on: Bed) -> set[Headers]:
    return {record.headers for record in on.harness.kafka.records("events.predictions") if record.headers}


def test_forged_dead_letter_headers(bed: MakeBed, size: Size) -> None:
    """35: headers that pretend to be a dead letter's do not outlast its own."""
    on = bed(READER)
    forged: Headers = (
        ("__dlq.errors.topic", b"elsewhere"),
        ("__dlq.errors.offset", b"-1"),
        ("__dlq.errors.message", b"all is well"),
        ("stage", b"none"),
        ("reason", b"none"),
        ("field", b"secret"),
        ("kept", b"1"),
    )
    (found,) = on.among(Good(on.framed(BODY), 12), [event(b"junk!", headers=forged)], size)
    assert isinstance(found, DeadLetterOf)
    names = [name for name, _ in found.headers]
    assert len(set(names)) == len(names)
    assert dict(found.headers)["kept"] == b"1"
    assert dict(found.headers)["__dlq.errors.topic"] == b"events"
    assert found.field is None


def test_a_good_record_with_forged_headers(bed: MakeBed, size: Size) -> None:
    """35: a record is judged by its value: one that says it is a dead letter is predicted."""
    on = bed(READER)
    value = on.framed(BODY)
    forged: Headers = (("stage", b"decode"), ("reason", b"malformed"), (REPLAYS, b"99999999999999999999"))
    (found,) = on.among(Good(value, 12), [event(value, headers=forged)], size)
    assert isinstance(found, PredictionOf)
    assert found.score == pytest.approx(score_of(12))


def test_a_replayed_letter_that_fails_again(bed: MakeBed, size: Size) -> None:
    """38: what is replayed and fails again carries its count on, each time one more, so that a replay can stop."""
    on = bed(READER)
    record = event(b"junk!", key=b"k", headers=(("mine", b"1"),))
    for replays in range(4):
        (found,) = on.among(Good(on.framed(BODY), 12), [record], size)
        assert isinstance(found, DeadLetterOf)
        letter = letter_of(Record("dlq", 0, 0, 1, found.key, found.value, found.headers))
        assert letter.replays == replays
        assert letter.own_headers == (("mine", b"1"),)
        record = event(letter.value, key=letter.key, headers=replayed_headers(letter))


@pytest.mark.parametrize("forged", [b"-1", b"x", b"", None, b"9" * 1_000_000, b"\xff", "٣".encode()])
def test_a_forged_count(bed: MakeBed, size: Size, forged: bytes | None) -> None:
    """38: what is no count counts as none, and does not hide a true one."""
    on = bed(READER)
    headers: Headers = ((REPLAYS, forged), (REPLAYS, b"2"), (REPLAYS, forged))
    (found,) = on.among(Good(on.framed(BODY), 12), [event(b"junk!", headers=headers)], size)
    assert isinstance(found, DeadLetterOf)
    letter = letter_of(Record("dlq", 0, 0, 1, found.key, found.value, found.headers))
    assert letter.replays == 2


def test_gaps_in_the_log() -> None:
    """39: aborted records, markers of transactions and offsets that are gone are neither predicted nor counted."""
    rig = Rig(InMemoryEdges(), "group")
    rig.edges.write_transaction(rig.input, [loan_event(loan(n)) for n in range(3)], commit=True)
    rig.edges.write_transaction(rig.input, [loan_event(b"junk!") for _ in range(300)], commit=False)
    rig.write([loan_event(loan(1)), loan_event(b"junk!")])
    rig.edges.write_transaction(rig.input, [loan_event(loan(2))], commit=True)
    rig.kafka.delete_records(rig.input, 0, 1)
    work(rig.worker(), 5)
    end = (3 + 1) + (300 + 1) + 2 + (1 + 1)
    assert rig.predicted() == [(0, 1), (0, 2), (0, end - 4), (0, end - 2)]
    assert rig.refused() == [(0, end - 3)]
    # The last record's next offset; the marker behind it is no record.
    assert rig.committed() == {0: end - 1}


def test_a_batch_of_gaps_alone() -> None:
    """39: a log of nothing but aborted records keeps the worker neither from going on nor from committing later."""
    rig = Rig(InMemoryEdges(), "group")
    rig.edges.write_transaction(rig.input, [loan_event(loan(n)) for n in range(3)], commit=False)
    worker = rig.worker()
    assert worker.run_once() == 0
    rig.write([loan_event(loan(7))])
    work(worker, 1)
    assert rig.predicted() == [(0, 4)]
    assert worker.source.lag() == {next(iter(worker.source.partitions())): 0}
