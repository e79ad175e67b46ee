"""The flights as a stream: one event each when it leaves, and its label once it has landed.

Events come in order of event time. What stands around the Avro bytes (a registry id, a fingerprint) is the business
of ``encode``, since it depends on where they are sent.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .flights import Column, Flights

Value = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FlightEvent:
    """One record of ``flight.avsc`` with its Kafka key.

    ``value`` holds plain Python values that fastavro writes as they are; its ``id`` is what a label refers to.
    ``late`` is None for a flight that never landed at its destination, and so never gets a label; ``landed_at_ms`` is
    when it did otherwise.
    """

    key: bytes
    value: Value
    late: bool | None
    landed_at_ms: int = 0

    @property
    def at_ms(self) -> int:
        """When it was to leave."""
        return int(str(self.value["scheduled_at"]))

    @property
    def label(self) -> Value:
        """By ``label.avsc``, for one that has landed."""
        return {
            "event_id": self.value["id"],
            "label": str(int(bool(self.late))),
            "value": None,
            "time": self.landed_at_ms,
        }


def events(flights: Flights) -> Iterator[FlightEvent]:
    """One event a flight, cancelled ones included: their departure delay is null, which the schema refuses."""
    columns = [flights.ids, flights.scheduled_at_ms.tolist(), *map(_python_values, flights.features.values())]
    names = ["id", "scheduled_at", *flights.features]
    outcomes = zip(flights.landed.tolist(), flights.late.tolist(), flights.landed_at_ms.tolist(), strict=True)
    for key, values, (landed, late, at) in zip(flights.keys, zip(*columns, strict=True), outcomes, strict=True):
        yield FlightEvent(key, dict(zip(names, values, strict=True)), late if landed else None, at)


def with_labels(flights: Flights) -> Iterator[tuple[FlightEvent, bool]]:
    """Each flight when it leaves, and once more, with True, when it has landed and its label is known; in order of time."""
    landing: list[tuple[int, int, FlightEvent]] = []
    for number, event in enumerate(events(flights)):
        while landing and landing[0][0] <= event.at_ms:
            yield heapq.heappop(landing)[2], True
        yield event, False
        if event.late is not None:
            heapq.heappush(landing, (event.landed_at_ms, number, event))
    while landing:
        yield heapq.heappop(landing)[2], True


def encoded(flights: Flights, encode: Callable[[Value], bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record, ready for a producer."""
    return ((event.key, encode(event.value)) for event in events(flights))


def _python_values(column: Column) -> list[object]:
    """Python's own str, int and float, with None for NaN."""
    if column.dtype.kind != "f":
        return list(column.tolist())
    values = column.astype(object)
    values[np.isnan(column.astype(np.float64))] = None
    return list(values.tolist())
