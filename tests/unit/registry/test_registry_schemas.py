"""Writer schemas from a registry: asked for once, told apart from a registry that is down, and which is left alone then."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.support.registry import Fault, RegistryServer
from worker.avro.framing import UnknownSchema
from worker.avro.schema import SchemaRefused, parse_schema
from worker.errors import SchemaUnavailable
from worker.registry.files import SchemaFiles
from worker.registry.http import RegistryHttp
from worker.registry.schemas import MOST_BACKOFF_SECONDS, MOST_SCHEMAS, UNKNOWN_SECONDS, RegistrySchemas
from worker.settings import Registry
from worker.testing import ManualClock


def schema(name: str = "E") -> str:
    return json.dumps({"type": "record", "name": name, "fields": [{"name": "x", "type": "int"}]})


OWN = parse_schema(schema())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000.0)


def asking(registry: RegistryServer, clock: ManualClock, timeout_seconds: float = 30) -> RegistrySchemas:
    http = RegistryHttp(Registry(url=registry.url, timeout_seconds=timeout_seconds))
    return RegistrySchemas(SchemaFiles(OWN, {}), http.get, clock.monotonic)


@pytest.fixture
def schemas(registry: RegistryServer, clock: ManualClock) -> RegistrySchemas:
    return asking(registry, clock)


def test_asked_once(registry: RegistryServer, schemas: RegistrySchemas) -> None:
    """A schema is asked for once, and is the registry's."""
    number = registry.register(schema("Written"))
    assert [schemas(number).name for _ in range(3)] == ["Written"] * 3
    assert registry.asked == {f"/schemas/ids/{number}": 1}


def test_by_guid(registry: RegistryServer, schemas: RegistrySchemas) -> None:
    """A GUID is asked for as such."""
    guid = uuid.uuid4()
    registry.guids[str(guid)] = registry.register(schema("Written"))
    assert schemas(guid.bytes).name == "Written"


def test_by_fingerprint(registry: RegistryServer, schemas: RegistrySchemas) -> None:
    """Fingerprints, which no registry knows, are looked up among the worker's own."""
    assert schemas(OWN.fingerprint) is OWN
    with pytest.raises(UnknownSchema):
        schemas(b"unknown.")
    assert not registry.asked


def test_unknown(registry: RegistryServer, schemas: RegistrySchemas, clock: ManualClock) -> None:
    """What the registry does not know is asked for again after a minute, not sooner."""
    for _ in range(3):
        with pytest.raises(UnknownSchema, match="the registry knows no schema by id 1"):
            schemas(1)
    assert registry.asked["/schemas/ids/1"] == 1
    registry.register(schema("Late"))
    clock.advance(UNKNOWN_SECONDS)
    assert schemas(1).name == "Late"


def test_ids_that_can_not_be(registry: RegistryServer, schemas: RegistrySchemas) -> None:
    """Nobody is asked for a negative id."""
    with pytest.raises(UnknownSchema):
        schemas(-1)
    assert not registry.asked


@pytest.mark.parametrize("fault", ["oversized", "garbage", "hangs up", "nowhere", 401, 403, 404, 500, 302])
def test_a_registry_that_is_down_is_no_unknown_schema(
    registry: RegistryServer, schemas: RegistrySchemas, clock: ManualClock, fault: Fault | int
) -> None:
    """Whatever is no answer of a registry holds the record, and after the time that the error names it is asked again."""
    number = registry.register(schema("Written"))
    registry.fault = fault
    with pytest.raises(SchemaUnavailable) as caught:
        schemas(number)
    assert caught.value.retry_seconds == 0.5
    registry.fault = None
    clock.advance(0.5)
    assert schemas(number).name == "Written"


@pytest.mark.parametrize("fault", ["silent", "dripping"])
def test_one_that_is_slow_is_none_either(registry: RegistryServer, clock: ManualClock, fault: Fault) -> None:
    """An answer that does not come in time says nothing of the schema."""
    registry.fault = fault
    with pytest.raises(SchemaUnavailable, match=r"no answer in time; asked again after 0\.5 s"):
        asking(registry, clock, timeout_seconds=0.2)(1)


def test_left_alone(registry: RegistryServer, schemas: RegistrySchemas, clock: ManualClock) -> None:
    """A registry that fails is asked ever more rarely, at most every half minute; what is known is known meanwhile."""
    number = registry.register(schema("Written"))
    schemas(number)
    registry.fault = 500
    waits = []
    for _ in range(10):
        with pytest.raises(SchemaUnavailable) as caught:
            schemas(2)
        waits.append(caught.value.retry_seconds)
        asked = registry.asked["/schemas/ids/2"]
        with pytest.raises(SchemaUnavailable, match="answers HTTP 500") as again:
            schemas(3)
        assert again.value.retry_seconds == waits[-1]
        assert (registry.asked["/schemas/ids/2"], registry.asked["/schemas/ids/3"]) == (asked, 0)
        assert schemas(number).name == "Written"
        clock.advance(waits[-1])
    assert waits == [0.5, 1, 2, 4, 8, 16, *[MOST_BACKOFF_SECONDS] * 4]
    registry.fault = None
    with pytest.raises(UnknownSchema):
        schemas(2)
    registry.fault = 500
    with pytest.raises(SchemaUnavailable) as fresh:
        schemas(3)
    assert fresh.value.retry_seconds == 0.5


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ({"schemaType": "JSON"}, "another kind of schema than Avro"),
        ({"references": [{"name": "X", "subject": "x", "version": 1}]}, "refers to others"),
        ({"schema": "{"}, "JSON"),
        ({"schema": '{"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}'}, "contains itself"),
    ],
)
def test_refused(registry: RegistryServer, schemas: RegistrySchemas, kind: dict[str, object], says: str) -> None:
    """A schema that can't be used is the record's fault, and known as such from then on."""
    number = registry.register(schema())
    registry.kinds[number] = kind
    for _ in range(2):
        with pytest.raises(SchemaRefused, match=says):
            schemas(number)
    assert registry.asked[f"/schemas/ids/{number}"] == 1


def test_bounded(registry: RegistryServer, schemas: RegistrySchemas) -> None:
    """Of many schemas those asked for last are kept: a stranger's ids must not fill the memory."""
    for number in range(MOST_SCHEMAS + 1):
        schemas(registry.register(schema(f"R{number}")))
        schemas(1)
    schemas(2)
    assert registry.asked["/schemas/ids/1"] == 1
    assert registry.asked["/schemas/ids/2"] == 2
