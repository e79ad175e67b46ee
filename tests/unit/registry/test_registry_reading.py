"""Our own outputs read back in both framings."""

from __future__ import annotations

import pytest

from tests.support.registry import RegistryServer
from tests.unit.monitor.test_encoding import ALERT, QUALITY, REPORT
from worker.avro.any_record import Unreadable
from worker.bootstrap_outputs import monitor_encoder, output_reader
from worker.drift.outcome import Outcome
from worker.errors import SchemaUnavailable
from worker.settings import Settings

OUTCOME = Outcome((REPORT,), (ALERT,), (QUALITY,))
NAMES = {"in.drift-reports": "drift_report", "in.drift-alerts": "drift_alert", "in.quality-reports": "quality_report"}


def settings(registry: RegistryServer, outputs: str) -> Settings:
    return Settings(
        kafka={"bootstrap": "b:9092", "group": "g"},  # type: ignore[arg-type]  # as they are read
        topics={"input": "in"},  # type: ignore[arg-type]
        event={"schema": "event.avsc"},  # type: ignore[arg-type]
        model={"bundle": "bundle"},  # type: ignore[arg-type]
        labels={"horizon_seconds": 60},  # type: ignore[arg-type]
        registry={"url": registry.url, "outputs": outputs, "timeout_seconds": 30},  # type: ignore[arg-type]
    )


def written(given: Settings) -> dict[str, bytes]:
    """A value by topic."""
    batches = monitor_encoder(given).encode(OUTCOME, "m", b"{}")
    return {batch.topic: batch.values.to_list()[0] or b"" for batch in batches}


def test_registered(registry: RegistryServer) -> None:
    """Reports and alerts have the prefix of their own schemas, each under its topic's subject; the state has none."""
    values = written(settings(registry, "register"))
    assert values.pop("in.drift-state").startswith(b"{")
    assert set(registry.subjects) == {f"{topic}-value" for topic in NAMES}
    for topic, value in values.items():
        ((text, number),) = registry.subjects[f"{topic}-value"].items()
        assert value[:5] == b"\x00" + number.to_bytes(4, "big")
        assert f'"name": "{NAMES[topic].title().replace("_", "")}"' in text


@pytest.mark.parametrize("outputs", ["single-object", "register"])
def test_read_back(registry: RegistryServer, outputs: str) -> None:
    """Both framings are read, also on one topic: what was written before the registry was set stays readable."""
    given = settings(registry, outputs)
    reader = output_reader(settings(registry, "register"), NAMES.values())
    values = written(given)
    read = {topic: reader.read(values[topic]) for topic in NAMES}
    assert read["in.drift-alerts"]["episode"] == ALERT.episode
    assert read["in.drift-reports"]["model_name"] == REPORT.model_name
    assert read["in.quality-reports"]["score"] == QUALITY.score


def test_asked_once(registry: RegistryServer) -> None:
    """An id is asked for once; without an answer nothing is taken for somebody else's."""
    given = settings(registry, "register")
    value, reader = written(given)["in.drift-alerts"], output_reader(given, ["drift_alert"])
    registry.fault = 500
    with pytest.raises(SchemaUnavailable):
        reader.read(value)
    registry.fault = None
    registry.asked.clear()
    fresh = output_reader(given, ["drift_alert"])
    assert fresh.read(value) == fresh.read(value)
    assert registry.asked.total() == 1


@pytest.mark.parametrize("value", [None, b"", b"\x00\x00\x00", b"\x00\x00\x00\x03\xe7body", b"somebody else's"])
def test_of_others(registry: RegistryServer, value: bytes | None) -> None:
    """What somebody else wrote is told apart, as is what another schema of the registry wrote."""
    reader = output_reader(settings(registry, "register"), ["drift_alert"])
    with pytest.raises(Unreadable):
        reader.read(value)
    other = registry.register('"string"')
    with pytest.raises(Unreadable):
        reader.read(b"\x00" + other.to_bytes(4, "big") + b"\x02x")
