"""What the runs stand on: a broker, a folder, and the streams and bundles that are made there once."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.contenders.run import Run
from bench.events import STANDARD, Shape
from bench.models import Model, pack_model
from bench.producing import produce_events
from examples.flights.events import encoded
from examples.flights.flights import load
from examples.flights.pack import pack_flights
from examples.flights.replay import AvroEncoder, replay
from examples.flights.train import ModelKind
from worker.broker.apache import ApacheKafka
from worker.broker.topics import create_topics
from worker.shipped import shipped

PARTITIONS = 6
EXACTLY_ONCE, AT_LEAST_ONCE = "exactly-once", "at-least-once"
# Small segments and frequent checks let a topic with a size limit keep to it.
BROKER = {"log.retention.check.interval.ms": "5000"}


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic full of events of one schema; ``shape`` is None for the flights."""

    topic: str
    shape: Shape | None
    events: int
    traced: bool = False

    @property
    def title(self) -> str:
        return "flights" if self.shape is None else f"{self.shape.fields} fields"

    @property
    def label(self) -> str:
        return f"{self.title}, traceparent" if self.traced else self.title


@dataclass(slots=True)
class Grounds:
    """Makes what a run needs; what was made before is used again."""

    kafka: ApacheKafka
    folder: Path
    console: Console
    _groups: Iterator[int] = field(default_factory=itertools.count)
    _topics: Iterator[int] = field(default_factory=itertools.count)

    def stream(
        self, events: int, *, shape: Shape = STANDARD, partitions: int = PARTITIONS, traced: bool = False
    ) -> Stream:
        """A new topic with so many events in it; the output topics beside it."""
        topic = f"events-{next(self._topics)}"
        self.create(topic, partitions)
        self._say(f"producing {events:,} events of {shape.fields} fields to {partitions} partitions")
        produce_events(self.kafka.bootstrap, topic, shape, events, partitions=partitions, traced=traced)
        return Stream(topic, shape, events, traced)

    def flights(self, events: int) -> Stream:
        """The flights of March to December, 284,821 at most."""
        topic = f"flights-{next(self._topics)}"
        self.create(topic, PARTITIONS)
        self._say("producing flights")
        encoder = AvroEncoder(shipped("schemas/flight.avsc"))
        count = replay(self.kafka.bootstrap, topic, itertools.islice(encoded(load(range(3, 13)), encoder), events))
        return Stream(topic, None, count)

    def create(self, topic: str, partitions: int, config: dict[str, str] | None = None) -> None:
        """An input topic and its outputs."""
        names = (topic, f"{topic}.predictions", f"{topic}.dlq")
        create_topics(self.kafka.bootstrap, dict.fromkeys(names, partitions) | {f"{topic}.drift-sketches": 1}, config)

    def run(
        self,
        contender: str,
        mode: str,
        stream: Stream,
        model: Model,
        *,
        events: int | None = None,
        counted: bool = False,
    ) -> Run:
        """In a group of its own, so from the beginning of the stream; ``counted``: all fields are, for drift."""
        shape = stream.shape
        return Run(
            contender=contender,
            mode=mode,
            bootstrap=self.kafka.bootstrap,
            topic=stream.topic,
            group=f"bench-{next(self._groups)}",
            schema=str(self._schema(shape)),
            id_field="id",
            time_field="scheduled_at" if shape is None else "at",
            bundle=str(self._bundle(shape, model, counted=counted)),
            events=stream.events if events is None else events,
        )

    def again(self, run: Run) -> Run:
        """The same in a group of its own."""
        return dataclasses.replace(run, group=f"bench-{next(self._groups)}")

    def _schema(self, shape: Shape | None) -> Path:
        if shape is None:
            return shipped("schemas/flight.avsc")
        path = self.folder / f"event{shape.fields}.avsc"
        path.write_text(shape.schema, encoding="utf-8")
        return path

    def _bundle(self, shape: Shape | None, model: Model, *, counted: bool) -> Path:
        path = self.folder / f"{'flights' if shape is None else shape.fields}-{model}{'-counted' if counted else ''}"
        if not path.exists():
            self._say(f"training: {model.label}")
            if shape is None:
                pack_flights(path, ModelKind(model), profiled=False)
            else:
                pack_model(shape, model, path, counted=counted)
        return path

    def _say(self, what: str) -> None:
        self.console.print(f"[dim]{what} ...[/dim]")


@contextmanager
def grounds(console: Console) -> Iterator[Grounds]:
    """A broker that ends with the block, and all that was made on it."""
    with tempfile.TemporaryDirectory() as folder, ApacheKafka(properties=BROKER) as kafka:
        yield Grounds(kafka, Path(folder), console)
