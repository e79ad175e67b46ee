"""The whole worker with a registry: unknown schemas are dead letters, and a registry that is down holds the stream."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator

import fastavro
import pytest

from tests.component.worker_rig import LOAN, Rig, event, loan, pipeline, work, worker_of
from tests.contract.edges import InMemoryEdges
from tests.support.registry import Fault, RegistryServer, registry_server
from worker.avro.decode import Decoder
from worker.avro.framing import SINGLE_OBJECT_BYTES, frame_detected
from worker.registry.files import SchemaFiles
from worker.registry.http import RegistryHttp
from worker.registry.schemas import RegistrySchemas
from worker.service import PredictionWorker
from worker.settings import Registry
from worker.testing import InMemorySink, InMemorySource, RecordingObserver, StubPredictor


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with registry_server() as server:
        yield server


@pytest.fixture
def rig() -> Rig:
    return Rig(InMemoryEdges(), "group")


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def worker(rig: Rig, registry: RegistryServer, observer: RecordingObserver) -> PredictionWorker:
    """Its time is the broker's, in which an empty poll lets its time-out pass."""
    clock = rig.kafka.clock
    http = RegistryHttp(Registry(url=registry.url, timeout_seconds=30))
    lookup = RegistrySchemas(SchemaFiles(LOAN, {}), http.get, clock.monotonic)
    decoder = Decoder(LOAN, lambda batch: frame_detected(batch, lookup, 10_000))
    flow = dataclasses.replace(pipeline(StubPredictor(), rig.predictions, rig.letters), decoder=decoder)
    source = InMemorySource(rig.kafka, rig.input, rig.group)
    return worker_of(source, InMemorySink(rig.kafka, rig.group), flow, observer=observer, clock=clock)


def by_id(number: int, body: bytes) -> bytes:
    return b"\x00" + number.to_bytes(4, "big") + body


def body(number: int) -> bytes:
    return loan(number)[SINGLE_OBJECT_BYTES:]


def test_known_and_unknown(rig: Rig, registry: RegistryServer, worker: PredictionWorker) -> None:
    """Records of schemas that the registry knows are predicted, those of others dead letters."""
    known = registry.register(LOAN.text)
    rig.write([event(by_id(known + n % 2, body(n))) for n in range(10)])
    work(worker, 10)
    assert rig.predicted() == [(0, n) for n in range(0, 10, 2)]
    assert rig.refused() == [(0, n) for n in range(1, 10, 2)]


@pytest.mark.parametrize("fault", ["hangs up", "nowhere", 401, 500])
def test_down(
    rig: Rig, registry: RegistryServer, worker: PredictionWorker, observer: RecordingObserver, fault: Fault | int
) -> None:
    """While the registry is down nothing is refused, committed or lost, and it is asked rarely; then all goes on."""
    known = registry.register(LOAN.text)
    rig.write([event(by_id(known, body(n))) for n in range(10)])
    registry.fault = fault
    begun = rig.kafka.clock.monotonic()
    while rig.kafka.clock.monotonic() < begun + 60:
        assert worker.run_once() == 0
    assert (rig.predicted(), rig.refused()) == ([], [])
    assert rig.committed() == {0: 0}
    assert registry.asked.total() == len(observer.aborts) == 7  # after 0.5, 1, 2, 4, 8, 16 and 30 s
    registry.fault = None
    work(worker, 10)
    assert rig.predicted() == [(0, n) for n in range(10)]
    assert rig.refused() == []


def test_down_among_the_known(rig: Rig, registry: RegistryServer, worker: PredictionWorker) -> None:
    """A batch of which one schema can't be asked for waits as a whole, so that order holds."""
    known = registry.register(LOAN.text)
    rig.write([event(by_id(known, body(0)))])
    work(worker, 1)
    registry.fault = 500
    rig.write([event(by_id(known + n % 2, body(n))) for n in range(10)])
    assert worker.run_once() == 0
    registry.fault = None
    work(worker, 10)
    assert rig.predicted() == [(0, 0), *((0, n + 1) for n in range(0, 10, 2))]


def test_evolution(rig: Rig, registry: RegistryServer, worker: PredictionWorker) -> None:
    """A producer that moves on to a schema with another order, a further field and a narrower type is understood at once."""
    old = registry.register(LOAN.text)
    evolved = json.loads(LOAN.text)
    evolved["fields"] = [*evolved["fields"][::-1], {"name": "further", "type": "string", "default": ""}]
    new = registry.register(json.dumps(evolved))
    out = io.BytesIO()
    values = {"application_id": "a", "age": 30, "credit_score": 700, "income": 50.0, "purpose": "car", "further": "x"}
    fastavro.schemaless_writer(out, fastavro.parse_schema(evolved), values)
    rig.write([event(by_id(old, body(0))), event(by_id(new, out.getvalue())), event(by_id(old, body(2)))])
    work(worker, 3)
    assert sorted(rig.predicted()) == [(0, 0), (0, 1), (0, 2)]
