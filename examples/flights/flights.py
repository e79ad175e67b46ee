"""The flights of 2013 as columns: what each event says, and what became of the flight.

Read from ``data/`` with the standard library and numpy alone; pandas is not needed to replay a year.
"""

from __future__ import annotations

import lzma
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Column = npt.NDArray[np.str_] | IntArray | FloatArray

DATA = Path(__file__).with_name("data")
YEAR = range(1, 13)
LATE_MINUTES = 15.0
"""A flight is late when it lands more than this many minutes after its schedule."""
TAXI_MINUTES, MILES_A_MINUTE = 25.0, 7.5

WEATHER = (
    "temperature_f",
    "dew_point_f",
    "humidity_percent",
    "wind_direction_degrees",
    "wind_speed_mph",
    "wind_gust_mph",
    "precipitation_inches",
    "pressure_millibars",
    "visibility_miles",
)
"""Feature names of the weather, in the order of the columns of ``weather.csv.xz`` after time and airport."""


@dataclass(frozen=True, slots=True)
class Flights:
    """n flights in order of scheduled hour; every array has length n.

    ``scheduled_at_ms`` is the event time, UTC, on the full hour. ``features`` maps a field of ``flight.avsc`` to its
    column: text, int64, or float64 with NaN for "no value". ``arrival_delay_minutes`` is NaN for a flight that was
    cancelled or diverted. ``keys`` are the aircraft (tail number), or carrier and flight number where none is known.
    """

    ids: Sequence[str]
    keys: Sequence[bytes]
    scheduled_at_ms: IntArray
    features: Mapping[str, Column]
    arrival_delay_minutes: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def departed(self) -> BoolArray:
        """The others were cancelled: their events carry a null departure delay."""
        return ~np.isnan(self.features["departure_delay_minutes"].astype(np.float64))

    @property
    def landed(self) -> BoolArray:
        """Landed where they were meant to; only these have a label."""
        return ~np.isnan(self.arrival_delay_minutes)

    @property
    def landed_at_ms(self) -> IntArray:
        """When the flight landed, UTC, int64; meaningful where ``landed``.

        An approximation, for the extract has no time in the air: after its delay the flight takes ``TAXI_MINUTES`` on the
        ground, and the distance at ``MILES_A_MINUTE``. It is never before the hour of the schedule.
        """
        columns = (self.features["departure_delay_minutes"], self.features["distance_miles"])
        delay, distance = (np.nan_to_num(column.astype(np.float64)) for column in columns)
        minutes = np.maximum(0, delay) + TAXI_MINUTES + distance / MILES_A_MINUTE
        return self.scheduled_at_ms + np.round(minutes * 60_000).astype(np.int64)

    @property
    def late(self) -> BoolArray:
        """The label, meaningful where ``landed``."""
        return self.arrival_delay_minutes > LATE_MINUTES

    def take(self, rows: BoolArray) -> Flights:
        """The flights where ``rows`` is true."""
        chosen = np.flatnonzero(rows).tolist()
        return Flights(
            ids=[self.ids[i] for i in chosen],
            keys=[self.keys[i] for i in chosen],
            scheduled_at_ms=self.scheduled_at_ms[rows],
            features={name: column[rows] for name, column in self.features.items()},
            arrival_delay_minutes=self.arrival_delay_minutes[rows],
        )


def load(months: Collection[int] = YEAR) -> Flights:
    """The flights scheduled in these months (1 to 12, New York time), each with the weather of its hour and airport."""
    wanted = {str(month) for month in months}
    columns = _columns("flights.csv.xz")
    chosen = [month in wanted for month in columns[1]]
    if not any(chosen):
        raise ValueError(f"no flights in months {sorted(months)}; name some of 1 to 12")
    hours, month, day, hour, origin, carrier, number, tail, destination, distance, departure, arrival = (
        list(compress(column, chosen)) for column in columns
    )
    weather = _weather_at(hours, origin)
    return Flights(
        ids=[f"{c}-{n}-{o}-{h}" for c, n, o, h in zip(carrier, number, origin, hours, strict=True)],
        keys=[(t or c + n).encode() for t, c, n in zip(tail, carrier, number, strict=True)],
        scheduled_at_ms=_milliseconds(hours),
        features={
            "carrier": np.array(carrier),
            "origin": np.array(origin),
            "destination": np.array(destination),
            "distance_miles": _floats(distance),
            "departure_delay_minutes": _floats(departure),
            "scheduled_hour": np.array(hour, np.int64),
            "scheduled_weekday": _weekdays(np.array(month, np.int64), np.array(day, np.int64)),
            **{name: weather[:, i] for i, name in enumerate(WEATHER)},
        },
        arrival_delay_minutes=_floats(arrival),
    )


def _columns(name: str) -> list[list[str]]:
    """The cells of a file, by column. It quotes nothing, so splitting is enough, and much quicker than ``csv``."""
    with lzma.open(DATA / name, "rt", encoding="ascii", newline="") as file:
        header, _, body = file.read().partition("\n")
    cells = body.replace("\n", ",").split(",")
    width = header.count(",") + 1
    return [cells[i:-1:width] for i in range(width)]


def _weather_at(hours: Sequence[str], origins: Sequence[str]) -> FloatArray:
    """One row a flight, one column a name of ``WEATHER``; NaN where nothing was observed."""
    observed_hours, observed_origins, *columns = _columns("weather.csv.xz")
    row_of = {place: row for row, place in enumerate(zip(observed_hours, observed_origins, strict=True))}
    nothing = len(row_of)
    values = np.array([[*_floats(column), np.nan] for column in columns]).T
    return values[[row_of.get(place, nothing) for place in zip(hours, origins, strict=True)]]


def _floats(cells: Sequence[str]) -> FloatArray:
    return np.array([float(cell) if cell else np.nan for cell in cells], np.float64)


def _milliseconds(hours: Sequence[str]) -> IntArray:
    """``2013-01-01T10:00:00Z`` and the like, to milliseconds since 1970."""
    return np.array([hour[:-1] for hour in hours], "datetime64[ms]").astype(np.int64)


def _weekdays(month: IntArray, day: IntArray) -> IntArray:
    """0 is Monday. Day 0 of the epoch was a Thursday, hence the 3."""
    first = (np.datetime64("2013-01", "M") + (month - 1)).astype("datetime64[D]").astype(np.int64)
    return np.asarray((first + day - 1 + 3) % 7, np.int64)
