from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from examples.flights import train
from examples.flights.events import Value, encoded, events, with_labels
from examples.flights.flights import DATA, Flights, load
from examples.flights.train import ModelKind

SCHEMA_FILE = Path(__file__).parents[3] / "schemas" / "flight.avsc"


@pytest.fixture(scope="module")
def year() -> Flights:
    return load()


@pytest.fixture(scope="module")
def march() -> Flights:
    return load((3,))


@pytest.fixture(scope="module")
def fields() -> dict[str, dict[str, Any]]:
    schema = json.loads(SCHEMA_FILE.read_text())
    return {field["name"]: field for field in schema["fields"]}


def test_the_year_is_complete(year: Flights) -> None:
    """All flights of 2013 are there, with as many cancelled and unlabelled ones as the source has."""
    assert len(year) == 336_776
    assert int((~year.departed).sum()) == 8_255
    assert int((~year.landed).sum()) == 9_430
    assert not np.any(year.landed & ~year.departed)


def test_the_documented_digests_are_those_of_the_data() -> None:
    """The data README names the digests of the packed and the unpacked files."""
    documented = (DATA / "README.md").read_text()
    for name in ("flights.csv.xz", "weather.csv.xz"):
        packed = (DATA / name).read_bytes()
        row = next(line for line in documented.splitlines() if line.startswith(f"| `{name}`"))
        assert f"{len(packed):,}" in row
        assert hashlib.sha256(packed).hexdigest() in row
        assert hashlib.sha256(lzma.decompress(packed)).hexdigest() in row


def test_ids_are_unique_and_readable(year: Flights) -> None:
    """An event id names carrier, flight, origin and hour, and no two flights share one."""
    assert len(set(year.ids)) == len(year)
    assert "UA-1545-EWR-2013-01-01T10:00:00Z" in year.ids[:10]


def test_keys_are_aircraft(year: Flights) -> None:
    """Only cancelled flights lack a tail number; they are keyed by carrier and flight number."""
    tail = re.compile(rb"N[0-9A-Z]{4,5}|D942DN")
    without = np.array([tail.fullmatch(key) is None for key in year.keys])
    assert int(without.sum()) == 2_512
    for row in np.flatnonzero(without).tolist():
        carrier, flight, *_ = year.ids[row].split("-")
        assert year.keys[row] == f"{carrier}{flight}".encode()
    assert not np.any(without & year.departed)


def test_flights_come_in_order_of_event_time(year: Flights) -> None:
    """Event time never steps back, and agrees with the hour in the id."""
    assert np.all(np.diff(year.scheduled_at_ms) >= 0)
    assert year.scheduled_at_ms[0] == np.datetime64("2013-01-01T10:00", "ms").astype(np.int64)
    for row in (0, 100_000, len(year) - 1):
        hour = np.datetime64(int(year.scheduled_at_ms[row]), "ms")
        assert year.ids[row].endswith(f"{hour.astype('datetime64[s]')}Z")


def test_weekdays_are_those_of_the_local_date() -> None:
    """0 is Monday, by New York's calendar: the first of January 2013 was a Tuesday, the fourth of July a Thursday."""
    january, july = load((1,)), load((7,))
    assert january.features["scheduled_weekday"][0] == 1
    first_of_fourth = next(i for i, name in enumerate(july.ids) if "2013-07-04T09" in name)
    assert july.features["scheduled_weekday"][first_of_fourth] == 3


def test_the_weather_is_that_of_the_hour_and_airport(year: Flights) -> None:
    """A flight carries its own airport's observation; the few without one carry no value at all."""
    row = year.ids.index("UA-1545-EWR-2013-01-01T10:00:00Z")
    assert year.features["temperature_f"][row] == 39.02
    assert year.features["pressure_millibars"][row] == 1011.9
    assert int(np.isnan(year.features["visibility_miles"].astype(float)).sum()) == 1_556


def test_months_can_be_chosen(year: Flights, march: Flights) -> None:
    """A month's flights are the same alone as within the year."""
    rows = np.array([name[-20:] >= "2013-03-01T05" for name in year.ids])
    first = int(np.flatnonzero(rows)[0])
    assert len(march) == 28_834
    assert year.ids[first : first + len(march)] == march.ids
    with pytest.raises(ValueError, match="no flights in months"):
        load((13,))


def test_events_round_trip_through_avro(march: Flights) -> None:
    """What fastavro reads back is what the event said."""
    schema = fastavro.parse_schema(json.loads(SCHEMA_FILE.read_text()))

    def encode(value: Value) -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, schema, value)
        return buffer.getvalue()

    thousand = march.take(np.arange(len(march)) < 1000)
    for event, (key, payload) in zip(events(thousand), encoded(thousand, encode), strict=True):
        read = fastavro.schemaless_reader(io.BytesIO(payload), schema, None)
        assert isinstance(read, dict)
        when = read["scheduled_at"]
        assert {**read, "scheduled_at": round(when.timestamp() * 1000)} == event.value
        assert key == event.key


def test_events_and_schema_have_the_same_fields(march: Flights, fields: dict[str, dict[str, Any]]) -> None:
    """An event fills every field of the schema, in its order, and each field is documented."""
    assert list(next(events(march)).value) == list(fields)
    assert all(field["doc"] for field in fields.values())


def test_every_flight_that_left_keeps_the_constraints(year: Flights, fields: dict[str, dict[str, Any]]) -> None:
    """No flight that left would be refused; every cancelled one would, for its null departure delay."""
    left = year.take(year.departed)
    for name, column in left.features.items():
        field = fields[name]
        if column.dtype.kind == "U":
            allowed = re.compile(field.get("pattern", "|".join(field.get("enum", ()))))
            assert all(allowed.fullmatch(text) for text in set(column.tolist())), name
            continue
        values = column[~np.isnan(column.astype(float))].astype(float)
        assert len(values) == len(left) or field["nullPolicy"] == "nan", name
        assert values.min() >= field["minimum"], name
        assert values.max() <= field["maximum"], name
    assert all(fields["id"]["minLength"] <= len(name) <= fields["id"]["maxLength"] for name in left.ids)
    assert fields["departure_delay_minutes"]["nullPolicy"] == "refuse"


def test_cancelled_flights_say_so_with_null(march: Flights) -> None:
    """A cancelled flight's event has a null departure delay and no label; nothing else lacks one but the diverted."""
    cancelled = [event for event in events(march) if event.value["departure_delay_minutes"] is None]
    assert len(cancelled) == 861
    assert all(event.late is None for event in cancelled)
    assert sum(event.late is None for event in events(march)) == 932


def test_a_label_says_more_than_15_minutes_late(year: Flights) -> None:
    """About one flight in four lands more than 15 minutes late; 15 minutes is not late."""
    assert year.late[year.landed].mean() == pytest.approx(0.2371, abs=0.0001)
    assert not year.late[year.arrival_delay_minutes == 15].any()
    assert year.late[year.arrival_delay_minutes == 16].all()


@pytest.mark.parametrize("kind", ModelKind)
def test_training_rows_are_those_with_a_label(kind: ModelKind) -> None:
    """January's labelled flights, with the features of the kind, in order of event time."""
    rows = train.training_rows(load((1,)), kind)
    assert len(rows) == 27_004 - 606
    assert rows.rows.shape == (len(rows), len(train.FEATURES[kind]))
    assert np.all(np.diff(rows.event_times_ms) >= 0)
    assert set(rows.labels.tolist()) == {0, 1}


@pytest.mark.parametrize("kind", ModelKind)
def test_models_are_reproducible_and_rank_well(kind: ModelKind, march: Flights) -> None:
    """Two fits score March alike, and rank its late flights above the others."""
    unseen = train.training_rows(march, kind)
    first, second = (train.fit(kind)[0].predict_proba(unseen.rows)[:, 1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    late = unseen.labels == 1
    ranks = np.argsort(np.argsort(first)) + 1
    area = (ranks[late].sum() - late.sum() * (late.sum() + 1) / 2) / (late.sum() * (~late).sum())
    assert area > 0.88


def test_an_unseen_destination_is_scored() -> None:
    """The data-frame model takes a category that training never saw."""
    model, training = train.fit(ModelKind.BOOSTING_FRAME, months=(1,))
    rows: Any = training.rows
    odd = rows.head(3).assign(destination="ZZZ")
    assert np.isfinite(model.predict_proba(odd)).all()


def test_labels_come_once_flights_have_landed(march: Flights) -> None:
    """Each flight that landed has one label, after its event and in order of time; it says whether it was late."""
    flights = march.take(np.arange(len(march)) < 2_000)
    order = list(with_labels(flights))
    left = [event.value["id"] for event, landed in order if not landed]
    labels = [event for event, landed in order if landed]
    assert left == list(flights.ids)
    assert sorted(str(event.value["id"]) for event in labels) == sorted(
        event for event, landed in zip(flights.ids, flights.landed, strict=True) if landed
    )
    times = [event.landed_at_ms if landed else event.at_ms for event, landed in order]
    assert times == sorted(times)
    assert all(event.landed_at_ms > event.at_ms for event in labels)
    known = dict(zip(flights.ids, flights.late.tolist(), strict=True))
    assert all(event.label["label"] == str(int(known[str(event.value["id"])])) for event in labels)


def test_a_label_fits_its_schema(march: Flights) -> None:
    """What is published is written by schemas/label.avsc."""
    schema = fastavro.parse_schema(json.loads(SCHEMA_FILE.with_name("label.avsc").read_text()))
    event = next(event for event, landed in with_labels(march) if landed)
    fastavro.schemaless_writer(io.BytesIO(), schema, event.label, strict=True)
