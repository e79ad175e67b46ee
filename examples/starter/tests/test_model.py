"""Schema and model through the whole worker, in memory: ``python -m pytest``."""

from __future__ import annotations

from typing import Any

import pytest
import train

import worker.testing

FINE: dict[str, Any] = {
    "id": "m01-1",
    "measured_at": 1_750_000_000_000,
    "machine": "m01",
    "temperature_c": 58.0,
    "vibration_mm_s": 1.2,
    "load_percent": 60.0,
    "hours_since_service": 100,
    "humidity_percent": 50.0,
}
WORN = {**FINE, "id": "m01-2", "temperature_c": 88.0, "vibration_mm_s": 6.0, "hours_since_service": 1_900}


@pytest.fixture(scope="session")
def harness() -> worker.testing.WorkerHarness:
    if not train.BUNDLE.exists():
        train.main()
    return worker.testing.harness(
        schema=train.HERE / "schemas" / "reading.avsc", bundle=train.BUNDLE, event_id="id", event_time="measured_at"
    )


def test_wear_is_seen(harness: worker.testing.WorkerHarness) -> None:
    """A machine that is cool and quiet is fine; one that is hot, shakes and is long in use needs service."""
    fine, worn = harness.run([FINE, WORN]).predictions
    assert (fine.label, worn.label) == ("fine", "service")
    assert fine.score < 0.1
    assert worn.score > 0.9


def test_nonsense_is_refused(harness: worker.testing.WorkerHarness) -> None:
    """A load that can't be becomes a dead letter that says why; its neighbours are predicted."""
    result = harness.run([FINE, {**FINE, "load_percent": 999.0}, b"no Avro", WORN])
    assert [found.row for found in result.predictions] == [0, 3]
    assert [found.row for found in result.dead_letters] == [1, 2]
    assert result.dead_letters[0].reason == "above_maximum"
    assert result.dead_letters[0].field == "load_percent"


def test_humidity_may_be_missing(harness: worker.testing.WorkerHarness) -> None:
    """Not every machine measures it."""
    (found,) = harness.run([{**FINE, "humidity_percent": None}]).predictions
    assert found.label == "fine"


def test_readings_are_counted_for_drift(harness: worker.testing.WorkerHarness) -> None:
    """The bundle has a reference profile, so what comes in is counted by it."""
    assert sum(window.records for sketch in harness.run([FINE, WORN]).sketches for window in sketch.windows) == 2
